// Whether what is written to a folder survives a restart of the machine.

import CLinux

/// Whether the folder is on a file system that is in memory alone: tmpfs or ramfs. False where it cannot be known.
package func isInMemoryAlone(_ path: String) -> Bool { spillway_is_in_memory_alone(path) == 1 }
