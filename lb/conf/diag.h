// SPDX-License-Identifier: MIT
// How the phases of the loader report: a place in a file and a sentence, then what to write
// instead. Printing is in diag_print.c; struct findings itself is public (load.h).
#ifndef EVLB_CONF_DIAG_H
#define EVLB_CONF_DIAG_H

#include "base/str.h"
#include "conf/load.h"

// A file that was read. Lives in the arena of the configuration.
struct conf_file {
    const char *name; // as messages say it
    struct str text;  // UTF-8, without byte order mark
    uint32_t order;   // 0: the first one read
    struct conf_file *next;
};

// A place: lines and columns (characters) from 1, the end behind the last character. line 0: the
// file as a whole; file NULL: nowhere.
struct span {
    const struct conf_file *file;
    uint32_t line, column, end_line, end_column;
};

// The place of a mark in the files of `c`.
struct span diag_span(const struct config *c, const struct conf_mark *m);

// Adds a finding; the result (never NULL) takes a fix, notes and a topic. Beyond FINDINGS_MAX it is
// counted and not kept. A finding equal to an earlier one in place and id is left out, so that a
// value shared by many objects is reported once.
struct finding *diag_error(struct findings *f, struct span at, const char *id, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
struct finding *diag_warning(struct findings *f, struct span at, const char *id, const char *fmt,
                             ...) PRINTF_LIKE(4, 5);
void diag_fix(struct findings *f, struct finding *x, const char *fmt, ...) PRINTF_LIKE(3, 4);
void diag_note(struct findings *f, struct finding *x, const char *fmt, ...) PRINTF_LIKE(3, 4);
// A finding that nobody will read, for callers that must not add to one.
struct finding *diag_scratch(struct findings *f);
// Brings the findings into the order of files and lines.
void diag_sort(struct findings *f);

// A value as messages show it: at most 60 bytes, cut at a character.
struct str diag_clip(struct str s);
#define SHOW(s) STR_FMT(diag_clip(s))

// Line `line` of `text` without its line break; empty when there is none.
struct str diag_line(struct str text, uint32_t line);
// Terminal columns of the UTF-8 character at the head of `s` (not empty), and its length in bytes.
// Invalid bytes and controls count as one column, combining characters as none, wide ones as two.
uint32_t diag_char_columns(struct str s, size_t *bytes);

#endif
