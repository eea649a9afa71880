#ifndef SPILLWAY_CLINUX_PROCESS_ARGUMENTS_H
#define SPILLWAY_CLINUX_PROCESS_ARGUMENTS_H

/// The process's own arguments where the kernel put them, which is where /proc/PID/cmdline and ps read them. What is
/// written there, within each argument's length, is what others see. Index 0 is the program's name.
int spillway_argument_count(void);

/// NULL for an index that is none.
char *spillway_argument(int index);

#endif
