#ifndef SPILLWAY_CLINUX_CHILD_PROCESS_H
#define SPILLWAY_CLINUX_CHILD_PROCESS_H

#include <sys/types.h>

/// Starts a program in a process group of its own, in the folder `/`, with all signals unblocked and at their
/// defaults, standard input from /dev/null, standard output and error to `output`, and no other descriptor.
/// The calling thread becomes the parent that PR_SET_PDEATHSIG watches.
///
/// Returns 0 and stores the process id, or returns an errno value.
int spillway_spawn(const char *path, char *const arguments[], char *const environment[], int output, pid_t *pid);

/// A close-on-exec descriptor that becomes readable when the child ends, or -1 with errno.
int spillway_pidfd_open(pid_t pid);

/// Splits a status of waitpid: `*is_signal` says whether the result is a signal's number or an exit code.
int spillway_exit_code(int status, int *is_signal);

#endif
