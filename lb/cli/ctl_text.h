// SPDX-License-Identifier: MIT
// Servers and backends of a running evlb in words, from their JSON (docs/admin-api.md): for the
// commands that show them.
#ifndef EVLB_CLI_CTL_TEXT_H
#define EVLB_CLI_CTL_TEXT_H

#include "base/json_read.h"
#include "cli/table.h"

// "up", "standby", "skipped 3s", "drain 9m58s" (ends by itself then).
const char *ctl_state(struct arena *a, const struct json_value *server);
// Why it is as it is, and since when; NULL: it works and there is nothing to say.
const char *ctl_server_why(struct arena *a, const struct json_value *server);
// Which of its servers work: "2 of 3", or the name when it is one of several; "none".
const char *ctl_working(struct arena *a, const struct json_value *backend);
// The same with the time since the work went to others, of the tier or (active-passive) the server:
// "2 of 4 (tier 2 for 6s)", "b for 6s".
const char *ctl_working_since(struct arena *a, const struct json_value *backend);
// The best tier works, or (active-passive) the best server.
bool ctl_first_choice_works(const struct json_value *backend);
// As connected to; while the name is unresolved as configured: "db.example.com:3306".
const char *ctl_address(struct arena *a, const struct json_value *server);
// Failures of real traffic: connections and answers.
uint64_t ctl_failures(const struct json_value *server);
// How long ago a wall clock time was; NULL when it is none.
const char *ctl_ago(struct arena *a, const struct json_value *v, const char *key);
// "  NAME           TEXT": the text goes on in further lines, at spaces, where one ends.
void ctl_print_item(const char *name, const char *text);
// Backends with what works and what waits, one row each.
void ctl_print_backends(struct arena *a, const struct json_value *backends);

#endif
