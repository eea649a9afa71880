#define _GNU_SOURCE
#include "thread.h"
#include <pthread.h>
#include <string.h>

void spillway_set_thread_name(const char *name) {
    char cut[16] = {0};
    strncpy(cut, name, sizeof(cut) - 1);
    pthread_setname_np(pthread_self(), cut);
}
