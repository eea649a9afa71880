#define _GNU_SOURCE
#include "process_environment.h"
#include <unistd.h>

char **spillway_environment(void) { return environ; }
