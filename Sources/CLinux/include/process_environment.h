#ifndef SPILLWAY_CLINUX_PROCESS_ENVIRONMENT_H
#define SPILLWAY_CLINUX_PROCESS_ENVIRONMENT_H

/// `environ`: entries NAME=VALUE, then NULL.
char **spillway_environment(void);

#endif
