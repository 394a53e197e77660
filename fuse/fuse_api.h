// SPDX-License-Identifier: GPL-2.0-or-later
// The one place that says which libfuse interface is meant.
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
