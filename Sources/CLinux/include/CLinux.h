// Linux calls that Swift cannot reach by itself: GNU extensions, variadic calls and packed records.
#ifndef SPILLWAY_CLINUX_H
#define SPILLWAY_CLINUX_H

#include "child_process.h"
#include "datagram_sender.h"
#include "file_writeback.h"
#include "memory_file_system.h"
#include "process_arguments.h"
#include "process_environment.h"
#include "thread.h"
#include "udp_socket.h"
#include "wake_event.h"

#endif
