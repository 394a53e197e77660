/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the machine hibernates, and nothing may be written that no user asked for;
 * hibernate.c says why.
 */
#ifndef DM_REMAP_HIBERNATE_H
#define DM_REMAP_HIBERNATE_H

#include <linux/types.h>

/* Once, with the module's beginning and end.  0 or a negative errno. */
int dmr_hibernate_init(void);
void dmr_hibernate_exit(void);

/*
 * Any context.  Once it is true the scans and healers of all open pairs come to rest, and
 * only then the machine goes on.
 */
bool dmr_hibernating(void);

#endif
