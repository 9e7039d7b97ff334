// SPDX-License-Identifier: MIT
// What the emitters share: rows and values as text. Internal to conf/.
#ifndef EVLB_CONF_EMIT_H
#define EVLB_CONF_EMIT_H

#include "conf/schema.h"

// The kind of value of a row in words: "a number with a unit: 500ms, ..., from 1ms to 1d", "one of
// http, tcp".
const char *emit_kind(struct arena *a, const struct row *row);
// A number of that row: "5s", "32KiB", "17", "auto".
const char *emit_number(struct arena *a, const struct row *row, uint64_t value);
// A scalar as YAML: plain where that is safe, quoted otherwise; "$" doubled.
const char *emit_scalar(struct arena *a, struct str s);
const char *emit_quoted(struct arena *a, struct str s);
// The value of a simple row in its target, as a file would write it; NULL when there is nothing to
// show or the row is no simple one. Secrets are EMIT_SECRET.
const char *emit_value(struct arena *a, const struct row *row, const void *target);
// Whether a row says anything beside the others of its map (row->needs).
bool emit_acts(struct arena *a, const struct object *o, const struct row *row, const void *target);
// All rows of an object that have a value and act, as a map on one line.
const char *emit_map(struct arena *a, const struct object *o, const void *target);
#define EMIT_SECRET "\"***\""
// True for rows that documents describe at the frontends and backends, not once more.
bool emit_is_planned(const struct row *row);
// Where else the row of that object may stand: "'defaults' and the top level", or NULL.
const char *emit_inherits(const struct object *o, const struct row *row);

#endif
