// SPDX-License-Identifier: MIT
// libyaml stops at the character that no longer fits, with a sentence for authors of parsers. Here
// the usual mistakes are recognised (a tab, a missing space, an open bracket, an unquoted star)
// and the finding is put where the mistake is, which is often a line earlier. Called by
// yaml_tree.c.
//
// Order: what the text of the line shows, then what libyaml says; the last row fits everything.
#include "conf/yaml_error.h"

struct saying {
    const char *problem; // part of libyaml's problem; NULL: any
    const char *context; // part of libyaml's context; NULL: any
    char at;             // the character at the mark; 0: any
    bool at_context;     // the mistake is where the construct begins
    const char *message, *fix;
};

// clang-format off
static const struct saying sayings[] = {
    {"cannot start any token", NULL, '\t', false,
     "a tab cannot indent", "use spaces"},
    {"tab character that violates", NULL, 0, false,
     "a tab cannot indent", "use spaces"},
    {"cannot start any token", NULL, '%', false,
     "a value cannot begin with '%'", "put it in quotes"},
    {"cannot start any token", NULL, '@', false,
     "a value cannot begin with '@'", "put it in quotes"},
    {"cannot start any token", NULL, '`', false,
     "a value cannot begin with '`'", "put it in quotes"},
    {NULL, "scanning an alias", 0, true,
     "a value that begins with '*' must stand in quotes", "put it in quotes: \"*...\""},
    {NULL, "scanning an anchor", 0, true,
     "a value that begins with '&' must stand in quotes", "put it in quotes"},
    {NULL, "scanning a tag", 0, true,
     "a value that begins with '!' must stand in quotes", "put it in quotes"},
    {NULL, "parsing a tag", 0, true,
     "a value that begins with '!' must stand in quotes", "put it in quotes"},
    {"unexpected end of stream", "quoted scalar", 0, true,
     "the quotation mark that begins here is never closed", "close the quotes"},
    {"unexpected document indicator", "quoted scalar", 0, true,
     "the quotation mark that begins here is never closed", "close the quotes"},
    {"unknown escape", NULL, 0, false,
     "unknown escape after '\\' in double quotes", "write '\\\\' for a backslash, or use single quotes"},
    {NULL, "parsing a quoted scalar", 0, false,
     "malformed escape in double quotes", "write '\\\\' for a backslash, or use single quotes"},
    {"',' or ']'", NULL, 0, true,
     "the '[' that begins here is not closed, or a ',' is missing", "close it with ']'"},
    {"',' or '}'", NULL, 0, true,
     "the '{' that begins here is not closed, or a ',' is missing", "close it with '}'"},
    {"expected ':'", NULL, 0, true,
     "expected a key with a colon and a space", "write 'key: value'"},
    {"mapping values are not allowed", NULL, 0, false,
     "a ':' where no key can be", "indent like the lines around it, or put a value with ': ' in quotes"},
    {"block sequence entries are not allowed", NULL, 0, false,
     "a list cannot begin here", "begin it on a line of its own below the key"},
    {"expected '-' indicator", NULL, 0, false,
     "this line is neither part of the list above nor indented less", "begin it with '- ', or indent it like the key of the list"},
    {"expected key", NULL, '-', false,
     "this '-' is not below those above it", "indent all of a list alike"},
    {"expected node content", NULL, 0, false,
     "a value is missing here", "write it, or close the '[' or '{' before"},
    {"expected key", NULL, 0, false,
     "expected a key here", "indent it exactly like the keys above"},
    {"control characters", NULL, 0, false,
     "a control character in the file", "remove it"},
    {"UTF-8", NULL, 0, false,
     "the file is not valid UTF-8", "save it as UTF-8"},
    {"unicode", NULL, 0, false,
     "the file is not valid UTF-8", "save it as UTF-8"},
    {"expected <document start>", NULL, 0, false,
     "this does not belong to what is above", "indent it exactly like the keys above"},
    {"incompatible YAML document", NULL, 0, false,
     "a %YAML line with an unknown version", "remove the line"},
    {NULL, "scanning a directive", 0, true,
     "a line cannot begin with '%'", "put the text in quotes"},
    {NULL, "block scalar", 0, false,
     "malformed '|' or '>' text block", "put the text in quotes on one line"},
    {NULL, NULL, 0, false, NULL, NULL},
};
// clang-format on

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

bool yaml_space_missing(struct str line, uint32_t *column)
{
    size_t i = 0;
    while (i < line.len && (line.p[i] == ' ' || line.p[i] == '-'))
        i++;
    size_t start = i;
    while (i < line.len && is_word(line.p[i]))
        i++;
    if (i == start || is_digit(line.p[start]) || i + 1 >= line.len || line.p[i] != ':')
        return false;
    if (strchr(" \t:/", line.p[i + 1]) != NULL)
        return false;
    *column = (uint32_t)i + 1;
    return true;
}

// "[::1]:80" without quotes: YAML sees a list.
static bool bare_ipv6(struct str line, uint32_t *column, uint32_t *end)
{
    for (size_t i = 0; i + 2 < line.len; i++) {
        if (line.p[i] != '[')
            continue;
        size_t k = i + 1, colons = 0;
        while (k < line.len && (strchr("0123456789abcdefABCDEF.:", line.p[k]) != NULL))
            colons += line.p[k++] == ':';
        if (colons < 2 || k >= line.len || line.p[k] != ']')
            continue;
        if (i > 0 && (line.p[i - 1] == '"' || line.p[i - 1] == '\''))
            continue;
        for (k++; k < line.len && (line.p[k] == ':' || is_digit(line.p[k]));)
            k++;
        *column = (uint32_t)i + 1;
        *end = (uint32_t)k + 1;
        return true;
    }
    return false;
}

static bool report_ipv6(const struct conf_file *file, uint32_t line, struct findings *f)
{
    uint32_t column, end;
    struct str text = diag_line(file->text, line);
    if (!bare_ipv6(text, &column, &end))
        return false;
    struct span at = {file, line, column, line, end};
    struct finding *x = diag_error(
        f, at, "yaml.syntax", "an IPv6 address must stand in quotes: YAML takes '[' as a list");
    diag_fix(f, x, "write \"%.*s\"", (int)(end - column), text.p + column - 1);
    return true;
}

static bool report_missing_space(const struct conf_file *file, uint32_t line, struct findings *f)
{
    uint32_t column;
    if (!yaml_space_missing(diag_line(file->text, line), &column))
        return false;
    struct span at = {file, line, column, line, column + 1};
    struct finding *x = diag_error(f, at, "yaml.syntax", "a space is missing after the colon");
    diag_fix(f, x, "write 'key: value'");
    return true;
}

// "listen 80" above "servers: ...": YAML takes both as one text until the colon.
static bool colon_missing(struct str line, uint32_t *column)
{
    size_t start = 0;
    while (start < line.len && line.p[start] == ' ')
        start++;
    size_t end = start;
    while (end < line.len && is_word(line.p[end]))
        end++;
    if (end == start || is_digit(line.p[start]) || str_find(line, ':') < line.len)
        return false;
    if (end < line.len && line.p[end] != ' ')
        return false;
    *column = (uint32_t)start + 1;
    return true;
}

static bool report_missing_colon(const struct conf_file *file, uint32_t line, struct findings *f)
{
    uint32_t column;
    struct str text = diag_line(file->text, line);
    if (!colon_missing(text, &column))
        return false;
    struct str rest = {text.p + column - 1, text.len - column + 1}, word = str_cut(&rest, ' ');
    uint32_t end = column + (uint32_t)word.len;
    struct span at = {file, line, column, line, end};
    struct finding *x =
        diag_error(f, at, "yaml.syntax", "a colon is missing behind '%.*s'", SHOW(word));
    diag_fix(f, x, "write '%.*s: ...'", SHOW(word));
    return true;
}

// The nearest line above `line` that is neither empty nor a comment; 0: none.
static uint32_t line_above(const struct conf_file *file, uint32_t line)
{
    while (--line > 0) {
        struct str text = str_trim(diag_line(file->text, line));
        if (text.len > 0 && text.p[0] != '#')
            return line;
    }
    return 0;
}

static bool contains(const char *text, const char *part)
{
    return part == NULL || (text != NULL && strstr(text, part) != NULL);
}

// Where an offset in bytes is (for errors of libyaml's reader, which has no mark).
static struct span span_of_offset(const struct conf_file *file, size_t offset)
{
    struct str before = {file->text.p, MIN_OF(offset, file->text.len)};
    uint32_t line = 1, column = 1;
    for (size_t i = 0; i < before.len; i++) {
        if (before.p[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)before.p[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    return (struct span){file, line, column, line, column + 1};
}

static struct span span_of_mark(const struct conf_file *file, const yaml_mark_t *m)
{
    uint32_t line = (uint32_t)m->line + 1, column = (uint32_t)m->column + 1;
    return (struct span){file, line, column, line, column + 1};
}

static char char_at(const struct conf_file *file, const struct span *at)
{
    struct str line = diag_line(file->text, at->line);
    return at->column >= 1 && at->column <= line.len ? line.p[at->column - 1] : '\0';
}

static const struct saying *find_saying(const yaml_parser_t *p, char at)
{
    const struct saying *s = sayings;
    while (s->message != NULL && !(contains(p->problem, s->problem) &&
                                   contains(p->context, s->context) && (s->at == 0 || s->at == at)))
        s++;
    return s;
}

static void report_saying(const yaml_parser_t *p, const struct conf_file *file, struct span at,
                          struct findings *f)
{
    const struct saying *s = find_saying(p, char_at(file, &at));
    if (s->at_context && p->context != NULL)
        at = span_of_mark(file, &p->context_mark);
    if (s->message == NULL) {
        struct finding *y = diag_error(f, at, "yaml.syntax", "not valid YAML: %s",
                                       p->problem != NULL ? p->problem : "?");
        diag_fix(f, y, "check quotes, brackets and indentation here");
        return;
    }
    struct finding *x = diag_error(f, at, "yaml.syntax", "%s", s->message);
    diag_fix(f, x, "%s", s->fix);
}

void yaml_report_error(const yaml_parser_t *p, const struct conf_file *file, struct findings *f)
{
    if (p->error == YAML_READER_ERROR) {
        report_saying(p, file, span_of_offset(file, p->problem_offset), f);
        return;
    }
    struct span at = span_of_mark(file, &p->problem_mark);
    bool structure = contains(p->problem, "expected key") || contains(p->problem, "expected ','") ||
                     contains(p->problem, "node content") || contains(p->problem, "expected ':'") ||
                     contains(p->problem, "not allowed");
    uint32_t above = structure ? line_above(file, at.line) : 0;
    uint32_t begin = structure && p->context != NULL ? (uint32_t)p->context_mark.line + 1 : 0;
    if (structure && (report_ipv6(file, at.line, f) || (above > 0 && report_ipv6(file, above, f)) ||
                      (begin > 0 && report_missing_space(file, begin, f)) ||
                      report_missing_space(file, at.line, f) ||
                      (above > 0 && report_missing_space(file, above, f)) ||
                      (above > 0 && report_missing_colon(file, above, f))))
        return;
    report_saying(p, file, at, f);
}
