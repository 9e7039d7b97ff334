// SPDX-License-Identifier: MIT
// The command line: what is understood, what is refused with which words, and that help stays
// within a screen.
#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "cli/explain.h"
#include "core/end.h"

#define ARGS_MAX 16

struct run {
    struct cli cli;
    int status;
    char *words; // of the command line, cut at spaces
    char *err;
    size_t err_len;
};

// Parses "check -c x" as argv {"evlb", "check", "-c", "x"}.
static struct run parse(const char *line)
{
    struct run r = {.words = xstrdup(line)};
    char *argv[ARGS_MAX] = {xstrdup("evlb")};
    int argc = 1;
    for (char *p = r.words; p != NULL && *p != '\0';) {
        assert_true(argc < ARGS_MAX);
        argv[argc++] = p;
        p = strchr(p, ' ');
        if (p != NULL)
            *p++ = '\0';
    }
    FILE *err = open_memstream(&r.err, &r.err_len);
    assert_non_null(err);
    r.status = cli_parse(argc, argv, &r.cli, err);
    fclose(err);
    free(argv[0]);
    return r;
}

static void done(struct run *r)
{
    cli_free(&r->cli);
    free(r->words);
    free(r->err);
}

static void expect_refused(const char *line, const char *words)
{
    struct run r = parse(line);
    if (r.status != EXIT_USAGE || strstr(r.err, words) == NULL)
        print_error("'%s': status %d, said '%s', expected '%s'\n", line, r.status, r.err, words);
    assert_int_equal(r.status, EXIT_USAGE);
    assert_non_null(strstr(r.err, words));
    done(&r);
}

static void understood(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "check -c x.yaml --format=json --strict",
        "-c x.yaml check --strict --format json",
        "--config=x.yaml check --format json --strict",
        "check -cx.yaml --strict --format=json",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct run r = parse(lines[i]);
        assert_int_equal(r.status, EXIT_OK);
        assert_string_equal(r.cli.command->name, "check");
        assert_string_equal(r.cli.value[FLAG_CONFIG], "x.yaml");
        assert_string_equal(r.cli.value[FLAG_FORMAT], "json");
        assert_int_equal(r.cli.given[FLAG_STRICT], 1);
        assert_int_equal(r.cli.n_operands, 0);
        done(&r);
    }
}

static void repeated_flags(void **state)
{
    (void)state;
    struct run r = parse("run --listen 8080 --to a:80 --to=b:80 -vv");
    assert_int_equal(r.status, EXIT_OK);
    assert_int_equal(r.cli.n_to, 2);
    assert_string_equal(r.cli.to[0], "a:80");
    assert_string_equal(r.cli.to[1], "b:80");
    assert_int_equal(r.cli.given[FLAG_VERBOSE], 2);
    done(&r);
}

static void operands(void **state)
{
    (void)state;
    struct run r = parse("explain route /x -H A:1 -H B:2");
    assert_int_equal(r.status, EXIT_OK);
    assert_int_equal(r.cli.n_operands, 2);
    assert_string_equal(r.cli.operands[1], "/x");
    assert_int_equal(r.cli.n_headers, 2);
    assert_string_equal(r.cli.headers[1], "B:2");
    done(&r);
    r = parse("explain -- --"); // the letters of a normal end
    assert_int_equal(r.status, EXIT_OK);
    assert_string_equal(r.cli.operands[0], "--");
    done(&r);
    r = parse("check -c -"); // "-" is a value
    assert_int_equal(r.status, EXIT_OK);
    assert_string_equal(r.cli.value[FLAG_CONFIG], "-");
    done(&r);
}

static void two_words(void **state)
{
    (void)state;
    struct run r = parse("ctl --socket s status");
    assert_int_equal(r.status, EXIT_OK);
    assert_string_equal(r.cli.command->name, "ctl status");
    assert_string_equal(r.cli.value[FLAG_SOCKET], "s");
    done(&r);
}

// The value of --wait may be left out; one in an argument of its own begins with a digit.
static void optional_value(void **state)
{
    static const struct {
        const char *line, *value;
        uint32_t n_operands;
    } cases[] = {
        {"ctl server drain app/a --wait", "", 2},
        {"ctl server drain app/a --wait 90s", "90s", 2},
        {"ctl server drain app/a --wait=90s", "90s", 2},
        {"ctl server drain --wait app/a", "", 2},
        {"ctl server --wait 5m drain app/a", "5m", 2},
        {"ctl server drain app/a --wait --for 1h", "", 2},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct run r = parse(cases[i].line);
        assert_int_equal(r.status, EXIT_OK);
        assert_string_equal(r.cli.value[FLAG_WAIT], cases[i].value);
        assert_int_equal(r.cli.n_operands, cases[i].n_operands);
        done(&r);
    }
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"chekc", "unknown command 'chekc'; did you mean 'check'?"},
        {"frobnicate", "unknown command 'frobnicate'; see 'evlb --help'"},
        {"ctl statsu", "unknown command 'ctl statsu'; did you mean 'ctl status'?"},
        {"reload", "unknown command 'reload'; did you mean 'ctl reload'?"},
        {"status -q", "unknown command 'status'; did you mean 'ctl status'?"},
        {"ctl", "'ctl' needs a second word"},
        {"check --stirct", "unknown flag '--stirct'; did you mean '--strict'?"},
        {"check --frobnicate", "unknown flag '--frobnicate'; see 'evlb check --help'"},
        {"check -x", "unknown flag '-x'"},
        {"check --config", "--config needs a value (FILE)"},
        {"check --strict=1", "--strict takes no value"},
        {"check --format=xml", "--format is one of: text gcc json github; not 'xml'"},
        {"run --listen 1 --to a:1 --mode=udp", "--mode is one of: http tcp; not 'udp'"},
        {"run foo.yaml", "'foo.yaml' is one word too many for 'run'; write: evlb run -c foo.yaml"},
        {"check conf.d/a.yml", "write: evlb check -c conf.d/a.yml"},
        {"version foo.yaml", "'foo.yaml' is one word too many for 'version'; see"},
        {"check a b", "'a' is one word too many for 'check'"},
        {"schema -c x", "'schema' takes no --config"},
        {"top -c x", "is planned, not in this version yet"},
        {"conf --stric", "unknown command 'conf'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_refused(cases[i].line, cases[i].words);
}

// Help is asked for in the middle of a wrong command line, too.
static void help_comes_first(void **state)
{
    (void)state;
    struct run r = parse("check --help --format=xml a b");
    assert_int_equal(r.status, EXIT_OK);
    assert_string_equal(r.cli.value[FLAG_HELP], "long");
    done(&r);
    r = parse("check -h");
    assert_string_equal(r.cli.value[FLAG_HELP], "short");
    done(&r);
    r = parse("ctl --help");
    assert_int_equal(r.status, EXIT_OK);
    assert_string_equal(r.cli.group, "ctl");
    done(&r);
}

static void help_of_a_group(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    help_group(out, "ctl");
    fclose(out);
    assert_non_null(strstr(text, "\n  ctl status "));
    assert_null(strstr(text, "\n  check "));
    assert_null(strstr(text, "\n  diff "));
    free(text);
}

static void nothing_given(void **state)
{
    (void)state;
    struct run r = parse("");
    assert_int_equal(r.status, EXIT_OK);
    assert_null(r.cli.command);
    done(&r);
}

// Lines and the width of the widest one.
static void measure(const char *text, size_t *lines, size_t *width)
{
    struct str rest = str_of(text);
    *lines = *width = 0;
    while (rest.p != NULL && rest.len > 0) {
        struct str line = str_cut(&rest, '\n');
        *width = MAX_OF(*width, line.len);
        (*lines)++;
    }
}

static void help_fits_a_screen(void **state)
{
    (void)state;
    for (size_t i = 0; i <= cli_command_count; i++) {
        const struct cli_command *c = i < cli_command_count ? &cli_commands[i] : NULL;
        if (c != NULL && c->kind == COMMAND_PLANNED)
            continue;
        for (int all = 0; all < 2; all++) {
            char *text = NULL;
            size_t len = 0, lines, width;
            FILE *out = open_memstream(&text, &len);
            assert_non_null(out);
            if (c != NULL)
                help_command(out, c, all);
            else
                help_overview(out, all);
            fclose(out);
            measure(text, &lines, &width);
            if (width > 80 || (!all && lines > 24))
                print_error("help of '%s': %zu lines, %zu columns\n", c != NULL ? c->name : "evlb",
                            lines, width);
            assert_true(width <= 80);
            assert_true(all || lines <= 24);
            free(text);
        }
    }
}

static void tables_are_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        assert_non_null(cli_flags[i].name);
        assert_non_null(cli_flags[i].help);
    }
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        assert_non_null(c->summary);
        assert_true((c->kind == COMMAND_PLANNED) == (c->run == NULL));
        assert_true(((c->flags & FLAG_BIT(FLAG_FORMAT)) != 0) == (c->formats != NULL));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(c->name, cli_commands[k].name);
    }
}

static void every_end_has_advice(void **state)
{
    (void)state;
    for (int i = 0; i < END_COUNT; i++) {
        assert_true(strlen(explain_end_advice(i)) > 10);
        assert_true(explain_is_end(end_info((enum end_cause)i)->letters));
        assert_true(explain_is_end(end_info((enum end_cause)i)->name));
    }
    assert_false(explain_is_end("xX"));
    assert_false(explain_is_end("balance"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understood),
        cmocka_unit_test(repeated_flags),
        cmocka_unit_test(operands),
        cmocka_unit_test(two_words),
        cmocka_unit_test(optional_value),
        cmocka_unit_test(refused),
        cmocka_unit_test(help_comes_first),
        cmocka_unit_test(help_of_a_group),
        cmocka_unit_test(nothing_given),
        cmocka_unit_test(help_fits_a_screen),
        cmocka_unit_test(tables_are_complete),
        cmocka_unit_test(every_end_has_advice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
