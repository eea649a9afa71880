#include "process_arguments.h"
#include <stddef.h>

static int argument_count;
static char **arguments;

// glibc gives each constructor what it gives main. Swift keeps a copy of the arguments and nothing of their place.
__attribute__((constructor)) static void keep_arguments(int count, char **values) {
    argument_count = count;
    arguments = values;
}

int spillway_argument_count(void) { return argument_count; }

char *spillway_argument(int index) { return index >= 0 && index < argument_count ? arguments[index] : NULL; }
