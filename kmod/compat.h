/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between the kernels from 6.1 on.  No other file asks for a
 * version.
 */
#ifndef DM_REMAP_COMPAT_H
#define DM_REMAP_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "dm-remap-v4 needs Linux 6.1 or later"
#endif

/* core/format.h divides 64-bit numbers, which only 64-bit kernels do in line. */
#ifndef CONFIG_64BIT
#error "dm-remap-v4 needs a 64-bit kernel"
#endif

/* A table's mode: fmode_t before 6.5. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define DMR_MODE_WRITE FMODE_WRITE
#else
#define DMR_MODE_WRITE BLK_OPEN_WRITE
#endif

/* hex_to_bin() and hex2bin() have a header of their own from 6.5 on. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#include <linux/kernel.h>
#else
#include <linux/hex.h>
#endif

#endif
