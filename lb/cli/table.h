// SPDX-License-Identifier: MIT
// A table of texts for a terminal, never wider than asked for.
#ifndef EVLB_CLI_TABLE_H
#define EVLB_CLI_TABLE_H

#include "base/arena.h"
#include "base/str.h"

#define TABLE_COLUMNS_MAX 12
#define TABLE_WIDTH 80

struct table {
    struct arena *arena;
    const char *const *heads; // of the columns; one that begins with '>' is aligned right
    size_t columns;
    const char **cells; // row by row
    size_t count, cap;  // of cells
};

// Appends one cell; `columns` of them make a row. The text is cleaned of control characters.
void table_cell(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
// A count in at most 6 characters: 99999, 123k, 4.56M, 78.9G.
void table_count(struct table *t, uint64_t value);
// Writes the heads and all rows within `width` columns: when they need more, the widest columns are
// cut (marked by '~'), in the middle but for the last one.
void table_print(const struct table *t, FILE *out, size_t width);

// "3s", "4m05s", "2h03m", "5d06h" in `a`.
const char *table_duration(struct arena *a, uint64_t ms);

#endif
