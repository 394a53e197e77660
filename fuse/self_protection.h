// SPDX-License-Identifier: GPL-2.0-or-later
// What keeps the daemon alive and moving while it is the disk under its own host.
//
// Each step is taken as far as this process has the right to; a step refused is a debug note.
#pragma once

namespace dmremap {

// As root, turns the first byte of argv[0] into '@', so that the killer at shutdown (systemd's
// ROOT_STORAGE_DAEMONS) spares the disk under file systems that are still mounted.
void hide_from_shutdown_killer(char* argv0);

// Before any thread is made, since threads inherit it: memory this process asks for is never taken
// from writing to its own disk, nor is this process the one to be killed for memory.
void protect_from_memory_pressure();

}  // namespace dmremap
