// SPDX-License-Identifier: MIT
// The unix socket of the admin API: its place, its directory, its rights. Made by the supervisor,
// served by control.
#ifndef EVLB_ADMIN_SOCKET_H
#define EVLB_ADMIN_SOCKET_H

#include "conf/config.h"
#include "process/privileges.h"

// Listening, mode 0660, owned by the user and group of the children; -1 after a warning: evlb
// serves traffic without it.
int admin_socket_open(const struct config *config, const struct privileges *who) MUST_CHECK;
void admin_socket_remove(const struct config *config);

#endif
