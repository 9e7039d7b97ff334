// SPDX-License-Identifier: MIT
// Tables for people: columns as wide as their content, cut where the terminal ends. Used by the
// commands that show what a running evlb does. Names and addresses come from configurations: they
// are ASCII in practice; a character of several bytes only makes its column a little narrower.
#include "cli/table.h"

#define GAP 2
#define NARROWEST 4

void table_cell(struct table *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = arena_vprintf(t->arena, fmt, args);
    va_end(args);
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    t->cells = arena_grow(t->arena, (void *)t->cells, t->count, &t->cap, sizeof(char *));
    t->cells[t->count++] = text;
}

void table_count(struct table *t, uint64_t value)
{
    static const char units[] = " kMGTPE";
    if (value < 100000) {
        table_cell(t, "%u", (unsigned)value);
        return;
    }
    double scaled = (double)value;
    const char *unit = units;
    while (scaled >= 999.5) {
        scaled /= 1000;
        unit++;
    }
    table_cell(t, "%.*f%c", scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0, scaled, *unit);
}

static bool right_aligned(const struct table *t, size_t column)
{
    return t->heads[column][0] == '>';
}

static const char *head(const struct table *t, size_t column)
{
    return t->heads[column] + right_aligned(t, column);
}

static void measure(const struct table *t, size_t widths[TABLE_COLUMNS_MAX])
{
    for (size_t i = 0; i < t->columns; i++)
        widths[i] = strlen(head(t, i));
    for (size_t i = 0; i < t->count; i++) {
        size_t *width = &widths[i % t->columns];
        *width = MAX_OF(*width, strlen(t->cells[i]));
    }
}

// Takes a character off the widest column until the row fits.
static void shrink(size_t *widths, size_t columns, size_t room)
{
    for (;;) {
        size_t sum = GAP * (columns - 1), widest = 0;
        for (size_t i = 0; i < columns; i++) {
            sum += widths[i];
            if (widths[i] > widths[widest])
                widest = i;
        }
        if (sum <= room || widths[widest] <= NARROWEST)
            return;
        widths[widest]--;
    }
}

// Both ends of a name or an address tell it from others; a sentence, the last column, is cut at its
// end.
static void print_cut(FILE *out, const char *text, size_t width, bool last)
{
    size_t tail = last ? 0 : width / 2;
    fprintf(out, "%.*s~%s", (int)(width - 1 - tail), text, text + strlen(text) - tail);
}

static void print_cell(FILE *out, const char *text, size_t width, bool right)
{
    if (right)
        fprintf(out, "%*s", (int)width, text);
    else
        fprintf(out, "%s", text);
}

// A left-aligned cell is filled up only when something follows: no blanks at line ends.
static void print_row(const struct table *t, FILE *out, const size_t *widths, const char **cells)
{
    for (size_t i = 0; i < t->columns; i++) {
        const char *text = cells != NULL ? cells[i] : head(t, i);
        size_t len = strlen(text);
        if (len > widths[i])
            print_cut(out, text, widths[i], i + 1 == t->columns);
        else
            print_cell(out, text, widths[i], right_aligned(t, i));
        size_t fill = len < widths[i] && !right_aligned(t, i) ? widths[i] - len : 0;
        if (i + 1 < t->columns)
            fprintf(out, "%*s", (int)(fill + GAP), "");
    }
    fprintf(out, "\n");
}

void table_print(const struct table *t, FILE *out, size_t width)
{
    size_t widths[TABLE_COLUMNS_MAX];
    lb_assert(t->columns > 0 && t->columns <= TABLE_COLUMNS_MAX && t->count % t->columns == 0);
    measure(t, widths);
    shrink(widths, t->columns, width);
    print_row(t, out, widths, NULL);
    for (size_t i = 0; i < t->count; i += t->columns)
        print_row(t, out, widths, t->cells + i);
}

const char *table_duration(struct arena *a, uint64_t ms)
{
    uint64_t s = ms / 1000;
    if (s < 60)
        return arena_printf(a, "%us", (unsigned)s);
    if (s < 3600)
        return arena_printf(a, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
    if (s < 86400)
        return arena_printf(a, "%uh%02um", (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
    return arena_printf(a, "%llud%02uh", (unsigned long long)(s / 86400),
                        (unsigned)(s / 3600 % 24));
}
