// SPDX-License-Identifier: MIT
// Writes findings for people (excerpt, caret, suggestion), for compilers' readers (one line each),
// as JSON and as GitHub annotations. Called by the commands that check a configuration and by the
// supervisor when a reload is refused.
//
// Everything shown comes from files of the user: control characters and invalid UTF-8 are replaced
// before they reach a terminal. Carets count terminal columns: tabs go to the next multiple of 8,
// wide characters take two.
#include "conf/diag.h"

#include <stdio.h>

#define TAB_COLUMNS 8u
#define TEXT_COLUMNS 80u  // findings as text are wrapped to these
#define MARGIN_COLUMNS 7u // "     = ", "     | "
#define WORDS_COLUMNS 40u // of the sentence at least, on the line of its place
#define CUT "..."         // what an excerpt leaves out

struct colours {
    const char *error, *warning, *bold, *fix, *none;
};

static const struct colours colours_on = {"\033[1;31m", "\033[1;35m", "\033[1m", "\033[32m",
                                          "\033[0m"};
static const struct colours colours_off = {"", "", "", "", ""};

static const char *severity_word(const struct finding *x)
{
    return x->severity == SEVERITY_ERROR ? "error" : "warning";
}

// Decodes one character. Returns its code point, or 0xFFFD for an invalid byte.
static uint32_t decode(struct str s, size_t *bytes)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = (unsigned char)s.p[0];
    size_t n = c < 0x80 ? 1 : c >= 0xF0 && c < 0xF5 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 0;
    *bytes = 1;
    if (n == 0 || n > s.len || c >= 0xF5)
        return 0xFFFD;
    uint32_t code = n == 1 ? c : c & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)s.p[i] & 0xC0) != 0x80)
            return 0xFFFD;
        code = code << 6 | ((unsigned char)s.p[i] & 0x3F);
    }
    if (code < least[n] || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF)
        return 0xFFFD;
    *bytes = n;
    return code;
}

struct range {
    uint32_t first, last;
};

static bool in_ranges(uint32_t code, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    }
    return false;
}

// clang-format off
static const struct range combining[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x0610, 0x061A}, {0x064B, 0x065F},
    {0x0900, 0x0902}, {0x093C, 0x093C}, {0x0941, 0x0948}, {0x0E31, 0x0E31}, {0x0E34, 0x0E3A},
    {0x0E47, 0x0E4E}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x200B, 0x200F}, {0x20D0, 0x20FF},
    {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F},
};
static const struct range wide[] = {
    {0x1100, 0x115F}, {0x2E80, 0x303E}, {0x3041, 0x33FF}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF},
    {0xA000, 0xA4CF}, {0xAC00, 0xD7A3}, {0xF900, 0xFAFF}, {0xFE30, 0xFE6F}, {0xFF00, 0xFF60},
    {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF},
    {0x20000, 0x3FFFD},
};
// clang-format on

uint32_t diag_char_columns(struct str s, size_t *bytes)
{
    uint32_t code = decode(s, bytes);
    if (in_ranges(code, combining, ARRAY_LEN(combining)))
        return 0;
    return in_ranges(code, wide, ARRAY_LEN(wide)) ? 2 : 1;
}

static bool is_unsafe(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0xFFFD ||
           (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

// Writes text without anything that a terminal would act on.
static void put_safe(struct str s, FILE *out)
{
    while (s.len > 0) {
        size_t n;
        if (is_unsafe(decode(s, &n)))
            fputc('?', out);
        else
            fwrite(s.p, 1, n, out);
        s = (struct str){s.p + n, s.len - n};
    }
}

static void put_place(const struct finding *x, FILE *out)
{
    put_safe(str_of(x->file), out);
    if (x->line > 0)
        fprintf(out, ":%u:%u", x->line, x->column);
    fputs(x->file[0] != '\0' ? ": " : "", out);
}

static void put_first_line(const struct finding *x, FILE *out, const struct colours *c)
{
    fputs(c->bold, out);
    put_place(x, out);
    fprintf(out, "%s%s%s:%s ", c->none, x->severity == SEVERITY_ERROR ? c->error : c->warning,
            severity_word(x), c->none);
    put_safe(str_of(x->message), out);
    fprintf(out, " [%s]\n", x->id);
}

// The excerpt laid out in terminal columns: of a line that is too long the part around the caret.
struct layout {
    uint32_t caret, caret_end; // columns from 0
    uint32_t skip, end;        // the columns that are shown
};

static uint32_t next_columns(struct str s, uint32_t column, size_t *bytes)
{
    if (s.p[0] != '\t')
        return diag_char_columns(s, bytes);
    *bytes = 1;
    return TAB_COLUMNS - column % TAB_COLUMNS;
}

static uint32_t excerpt_columns(struct str s)
{
    uint32_t column = 0;
    for (size_t n; s.len > 0; s = (struct str){s.p + n, s.len - n})
        column += next_columns(s, column, &n);
    return column;
}

// What is marked goes to the middle, with some of what stands before it in any case.
static void choose_window(struct layout *l, uint32_t columns)
{
    uint32_t room = TEXT_COLUMNS - MARGIN_COLUMNS, marked = l->caret_end - l->caret;
    l->end = MAX_OF(columns, l->caret_end);
    if (l->end <= room)
        return;
    room -= 2 * (uint32_t)strlen(CUT);
    uint32_t before = room > marked ? (room - marked) / 2 : 0;
    before = MAX_OF(before, room / 4);
    l->skip = l->caret > before ? l->caret - before : 0;
    l->skip = MIN_OF(l->skip, l->end - room);
    l->end = l->skip + room;
}

static struct layout lay_out(const struct finding *x)
{
    struct layout l = {0};
    struct str s = str_of(x->excerpt);
    uint32_t column = 0, character = 1;
    for (; character < x->end_column; character++) {
        if (character == x->column)
            l.caret = column;
        size_t n = 1;
        column += s.len > 0 ? next_columns(s, column, &n) : 1;
        if (s.len > 0)
            s = (struct str){s.p + n, s.len - n};
        else if (character > x->column)
            break; // a finding may point behind the end of its line, by one
    }
    l.caret_end = MAX_OF(column, l.caret + 1);
    choose_window(&l, excerpt_columns(str_of(x->excerpt)));
    return l;
}

static void put_excerpt(const struct finding *x, const struct layout *l, FILE *out)
{
    struct str s = str_of(x->excerpt);
    uint32_t column = 0;
    fprintf(out, "%4u | %s", x->line, l->skip > 0 ? CUT : "");
    while (s.len > 0 && column < l->end) {
        size_t n;
        uint32_t columns = next_columns(s, column, &n), code = decode(s, &n);
        if (column >= l->skip) {
            if (s.p[0] == '\t')
                fprintf(out, "%*s", (int)columns, "");
            else if (is_unsafe(code))
                fputc('?', out);
            else
                fwrite(s.p, 1, n, out);
        }
        column += columns;
        s = (struct str){s.p + n, s.len - n};
    }
    fprintf(out, "%s\n", s.len > 0 ? CUT : "");
}

static uint32_t columns_of(struct str s)
{
    uint32_t columns = 0;
    for (size_t n; s.len > 0; s = (struct str){s.p + n, s.len - n})
        columns += diag_char_columns(s, &n);
    return columns;
}

// Takes the next line of at most `columns` off `rest`, cut at a space; a word that is longer, a
// path mostly, is left whole, so that it can be copied. `rest` becomes STR_NONE with the last one.
static struct str next_line(struct str *rest, uint32_t columns)
{
    uint32_t used = 0;
    size_t at = 0, space = 0, n;
    for (; at < rest->len && (space == 0 || used <= columns); at += n) {
        used += diag_char_columns((struct str){rest->p + at, rest->len - at}, &n);
        if (rest->p[at] == ' ')
            space = at;
    }
    struct str line = *rest;
    if (used <= columns || space == 0) {
        *rest = STR_NONE;
        return line;
    }
    line.len = space;
    *rest = str_trim((struct str){rest->p + line.len, rest->len - line.len});
    return line;
}

// Place and sentence, wrapped, with the further lines as far in as all that is below. Behind a long
// place some words stay all the same: a line of a log is to say something.
static void put_sentence(const struct finding *x, struct arena *a, FILE *out,
                         const struct colours *c)
{
    struct str rest = str_of(arena_printf(a, "%s [%s]", x->message, x->id));
    const char *word = severity_word(x), *lead = " ";
    const char *at = x->line > 0 ? arena_printf(a, ":%u:%u", x->line, x->column) : "";
    size_t used = columns_of(str_of(x->file)) + strlen(at) + strlen(word) + strlen(": : ");
    uint32_t room =
        used + WORDS_COLUMNS < TEXT_COLUMNS ? TEXT_COLUMNS - (uint32_t)used : WORDS_COLUMNS;
    fputs(c->bold, out);
    put_place(x, out);
    fprintf(out, "%s%s%s:%s", c->none, x->severity == SEVERITY_ERROR ? c->error : c->warning, word,
            c->none);
    for (; rest.p != NULL; lead = "\n       ", room = TEXT_COLUMNS - MARGIN_COLUMNS) {
        fputs(lead, out);
        put_safe(next_line(&rest, room), out);
    }
    fputc('\n', out);
}

// "     = text", wrapped, with the further lines below the first.
static void put_below(const char *text, FILE *out, const struct colours *c)
{
    struct str rest = str_of(text);
    for (const char *lead = "     = "; rest.p != NULL; lead = "       ") {
        fprintf(out, "%s%s", lead, c->fix);
        put_safe(next_line(&rest, TEXT_COLUMNS - MARGIN_COLUMNS), out);
        fprintf(out, "%s\n", c->none);
    }
}

// The fix stands behind the caret; below it when there is no room.
static void put_caret(const struct finding *x, const struct layout *l, FILE *out,
                      const struct colours *c)
{
    uint32_t indent = l->caret - l->skip + (l->skip > 0 ? (uint32_t)strlen(CUT) : 0);
    uint32_t width = MIN_OF(l->caret_end, l->end) - l->caret;
    fprintf(out, "     | %*s%s^", (int)indent, "", c->fix);
    for (uint32_t i = 1; i < width; i++)
        fputc('~', out);
    uint32_t used = MARGIN_COLUMNS + indent + width;
    bool beside = x->fix != NULL && used + 1 + columns_of(str_of(x->fix)) <= TEXT_COLUMNS;
    if (beside) {
        fputc(' ', out);
        put_safe(str_of(x->fix), out);
    }
    fprintf(out, "%s\n", c->none);
    if (x->fix != NULL && !beside)
        put_below(x->fix, out, c);
}

static void put_text(const struct finding *x, struct arena *a, FILE *out, const struct colours *c)
{
    put_sentence(x, a, out, c);
    if (x->excerpt != NULL) {
        struct layout l = lay_out(x);
        put_excerpt(x, &l, out);
        put_caret(x, &l, out, c);
    } else if (x->fix != NULL) {
        put_below(x->fix, out, c);
    }
    for (size_t i = 0; i < FINDING_NOTES_MAX && x->notes[i] != NULL; i++)
        put_below(x->notes[i], out, &colours_off);
}

static void put_count(uint32_t n, const char *word, FILE *out)
{
    fprintf(out, "%u %s%s", n, word, n == 1 ? "" : "s");
}

static const char *first_topic(const struct findings *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->items[i].topic != NULL && f->items[i].severity == SEVERITY_ERROR)
            return f->items[i].topic;
    }
    return NULL;
}

static void put_summary(const struct findings *f, FILE *out)
{
    if (f->dropped > 0)
        fprintf(out, "... and %u more, not shown\n", f->dropped);
    if (f->errors > 0)
        put_count(f->errors, "error", out);
    if (f->errors > 0 && f->warnings > 0)
        fputs(", ", out);
    if (f->warnings > 0)
        put_count(f->warnings, "warning", out);
    if (f->errors > 0)
        fputs("; nothing was changed.", out);
    const char *topic = first_topic(f);
    if (topic != NULL)
        fprintf(out, " Try: evlb explain %s", topic);
    fputc('\n', out);
}

static void put_json_string(const char *text, FILE *out)
{
    fputc('"', out);
    for (struct str s = str_of(text); s.len > 0;) {
        size_t n;
        uint32_t code = decode(s, &n);
        if (code == '"' || code == '\\')
            fprintf(out, "\\%c", (int)code);
        else if (code < 0x20 || code == 0xFFFD)
            fprintf(out, "\\u%04x", code);
        else
            fwrite(s.p, 1, n, out);
        s = (struct str){s.p + n, s.len - n};
    }
    fputc('"', out);
}

static void put_json_member(const char *key, const char *value, FILE *out)
{
    if (value == NULL)
        return;
    fprintf(out, ",\"%s\":", key);
    put_json_string(value, out);
}

static void put_json(const struct finding *x, FILE *out)
{
    fprintf(out, "{\"severity\":\"%s\",\"id\":\"%s\"", severity_word(x), x->id);
    put_json_member("file", x->file, out);
    if (x->line > 0)
        fprintf(out, ",\"line\":%u,\"column\":%u,\"end_column\":%u", x->line, x->column,
                x->end_column);
    put_json_member("message", x->message, out);
    put_json_member("fix", x->fix, out);
    put_json_member("excerpt", x->excerpt, out);
    put_json_member("topic", x->topic, out);
    fputs(",\"notes\":[", out);
    for (size_t i = 0; i < FINDING_NOTES_MAX && x->notes[i] != NULL; i++) {
        fputs(i > 0 ? "," : "", out);
        put_json_string(x->notes[i], out);
    }
    fputs("]}", out);
}

static void print_json(const struct findings *f, FILE *out)
{
    fputs("{\"findings\":[", out);
    for (size_t i = 0; i < f->count; i++) {
        fputs(i > 0 ? ",\n" : "\n", out);
        put_json(&f->items[i], out);
    }
    fprintf(out, "],\n\"errors\":%u,\"warnings\":%u,\"dropped\":%u}\n", f->errors, f->warnings,
            f->dropped);
}

// Workflow commands escape %, CR and LF everywhere, and ":" and "," in properties too.
static void put_github_text(const char *text, const char *also, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '%' || *text == '\r' || *text == '\n' || strchr(also, *text) != NULL)
            fprintf(out, "%%%02X", (unsigned char)*text);
        else
            fputc(*text, out);
    }
}

static void put_github(const struct finding *x, FILE *out)
{
    fprintf(out, "::%s file=", severity_word(x));
    put_github_text(x->file, ":,", out);
    if (x->line > 0)
        fprintf(out, ",line=%u,col=%u,endColumn=%u", x->line, x->column, x->end_column);
    fprintf(out, ",title=%s::", x->id);
    put_github_text(x->message, "", out);
    if (x->fix != NULL) {
        fputs(" (", out);
        put_github_text(x->fix, "", out);
        fputc(')', out);
    }
    fputc('\n', out);
}

void findings_print(const struct findings *f, FILE *out, enum findings_format format, bool colour)
{
    const struct colours *c = colour ? &colours_on : &colours_off;
    if (format == FINDINGS_JSON) {
        print_json(f, out);
        return;
    }
    for (size_t i = 0; i < f->count; i++) {
        if (format == FINDINGS_GITHUB)
            put_github(&f->items[i], out);
        else if (format == FINDINGS_GCC)
            put_first_line(&f->items[i], out, c);
        else
            put_text(&f->items[i], f->arena, out, c);
    }
    if (format == FINDINGS_TEXT && f->errors + f->warnings > 0)
        put_summary(f, out);
}

bool findings_format_parse(const char *name, enum findings_format *format)
{
    static const char *const names[] = {"text", "gcc", "json", "github"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *format = (enum findings_format)i;
            return true;
        }
    }
    return false;
}
