// SPDX-License-Identifier: MIT
// argv -> struct cli. Flags may stand before and after the command and its operands; "--" ends
// them. Long flags take their value as "--name VALUE" or "--name=VALUE", short ones as "-c VALUE",
// "-cVALUE" or bundled ("-qv"). Abbreviated long flags are not accepted: a later version may add
// one that makes them ambiguous. Runs once, in the supervisor or a command; reads only its
// arguments.
#include "cli/cli.h"

#include "conf/suggest.h"

#define WORDS_MAX 128 // of a command of two words

struct reader {
    int argc, next; // `next`: the argument to look at
    char **argv;
    struct cli *cli;
    FILE *err;
    const char *first_word; // of a command of two words, until the second is read
    bool only_operands;     // behind "--"
};

bool cli_word_in(const char *words, const char *word)
{
    struct str rest = str_of(words), wanted = str_of(word);
    while (rest.p != NULL) {
        if (str_eq(str_cut(&rest, ' '), wanted))
            return true;
    }
    return false;
}

// Ends a complaint: with the word that was probably meant (behind `dashes`), or where to look.
static int usage(const struct reader *r, const char *dashes, struct str meant)
{
    if (meant.p != NULL)
        fprintf(r->err, "; did you mean '%s%.*s'?\n", dashes, STR_FMT(meant));
    else
        fprintf(r->err, "; see 'evlb%s%s --help'\n", r->cli->command != NULL ? " " : "",
                r->cli->command != NULL ? r->cli->command->name : "");
    return EXIT_USAGE;
}

// ---- flags --------------------------------------------------------------------------------------

// True when the command reads the flag; before the command is known, every flag may come.
static bool flag_fits(const struct cli_command *command, enum flag_id id)
{
    return command == NULL || id == FLAG_HELP || (command->flags & FLAG_BIT(id)) != 0;
}

static int unknown_flag(const struct reader *r, struct str name)
{
    struct suggestion s = suggest_begin(name);
    for (int id = 0; id < FLAG_COUNT; id++) {
        if (flag_fits(r->cli->command, (enum flag_id)id))
            suggest_offer(&s, str_of(cli_flags[id].name));
    }
    fprintf(r->err, "evlb: unknown flag '--%.*s'", STR_FMT(name));
    return usage(r, "--", s.best);
}

static int set_flag(struct reader *r, enum flag_id id, const char *value)
{
    struct cli *cli = r->cli;
    cli->given[id]++;
    cli->value[id] = value;
    if (id == FLAG_TO)
        cli->to[cli->n_to++] = value;
    else if (id == FLAG_HEADER)
        cli->headers[cli->n_headers++] = value;
    return EXIT_OK;
}

// A flag that needs a value and stands at the end of its argument takes the next argument.
static int set_flag_from_next(struct reader *r, enum flag_id id)
{
    const struct cli_flag *f = &cli_flags[id];
    if (r->next < r->argc)
        return set_flag(r, id, r->argv[r->next++]);
    fprintf(r->err, "evlb: --%s needs a value (%s)", f->name, f->value);
    return usage(r, "", STR_NONE);
}

// A value that may be left out and stands in an argument of its own begins with a digit: an operand
// that does can still follow another one, or "--".
static int set_optional_flag(struct reader *r, enum flag_id id)
{
    if (r->next < r->argc && is_digit(r->argv[r->next][0]))
        return set_flag(r, id, r->argv[r->next++]);
    return set_flag(r, id, "");
}

static int read_long_flag(struct reader *r, struct str name)
{
    const char *equals = memchr(name.p, '=', name.len);
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (equals != NULL)
        name.len = (size_t)(equals - name.p);
    for (int i = 0; i < FLAG_COUNT; i++) {
        enum flag_id id = (enum flag_id)i;
        if (!str_eq(name, str_of(cli_flags[id].name)))
            continue;
        const char *wanted = cli_flags[id].value;
        if (wanted != NULL && value != NULL)
            return set_flag(r, id, value);
        if (wanted != NULL)
            return wanted[0] == '[' ? set_optional_flag(r, id) : set_flag_from_next(r, id);
        if (value == NULL)
            return set_flag(r, id, "long");
        fprintf(r->err, "evlb: --%s takes no value", cli_flags[id].name);
        return usage(r, "", STR_NONE);
    }
    return unknown_flag(r, name);
}

static int read_short_flags(struct reader *r, const char *letters)
{
    for (const char *c = letters; *c != '\0'; c++) {
        int id = 0;
        while (id < FLAG_COUNT && cli_flags[id].letter != *c)
            id++;
        if (id == FLAG_COUNT) {
            fprintf(r->err, "evlb: unknown flag '-%c'", *c);
            return usage(r, "", STR_NONE);
        }
        if (cli_flags[id].value == NULL) {
            (void)set_flag(r, (enum flag_id)id, "short");
            continue;
        }
        return c[1] != '\0' ? set_flag(r, (enum flag_id)id, c + 1)
                            : set_flag_from_next(r, (enum flag_id)id);
    }
    return EXIT_OK;
}

// ---- words --------------------------------------------------------------------------------------

static int unknown_command(const struct reader *r, const char *words)
{
    struct suggestion s = suggest_begin(str_of(words));
    for (size_t i = 0; i < cli_command_count; i++) {
        const char *name = cli_commands[i].name;
        if (cli_commands[i].kind != COMMAND_SHOWN)
            continue;
        suggest_offer(&s, str_of(name));
        // "reload" is `ctl reload`
        if (strncmp(name, "ctl ", 4) == 0 && strcmp(name + 4, words) == 0)
            s = (struct suggestion){.best = str_of(name)};
    }
    fprintf(r->err, "evlb: unknown command '%s'", words);
    return usage(r, "", s.best);
}

static int take_command(struct reader *r, const char *words)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        if (strcmp(c->name, words) != 0)
            continue;
        if (c->kind == COMMAND_PLANNED) {
            fprintf(r->err, "evlb: '%s' (%s) is planned, not in this version yet\n", c->name,
                    c->summary);
            return EXIT_USAGE;
        }
        r->cli->command = c;
        return EXIT_OK;
    }
    return unknown_command(r, words);
}

// True when `word` begins commands of two words ("ctl").
static bool is_group(const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i < cli_command_count; i++) {
        if (strncmp(cli_commands[i].name, word, len) == 0 && cli_commands[i].name[len] == ' ')
            return true;
    }
    return false;
}

static int read_word(struct reader *r, const char *word)
{
    struct cli *cli = r->cli;
    if (cli->command != NULL) {
        cli->operands[cli->n_operands++] = word;
        return EXIT_OK;
    }
    if (r->first_word == NULL && is_group(word)) {
        r->first_word = word;
        return EXIT_OK;
    }
    if (r->first_word == NULL)
        return take_command(r, word);
    char words[WORDS_MAX];
    (void)snprintf(words, sizeof(words), "%s %s", r->first_word, word);
    r->first_word = NULL;
    return take_command(r, words);
}

static int read_argument(struct reader *r, const char *arg)
{
    if (r->only_operands || arg[0] != '-' || arg[1] == '\0')
        return read_word(r, arg);
    if (strcmp(arg, "--") == 0) {
        r->only_operands = true;
        return EXIT_OK;
    }
    if (arg[1] == '-')
        return read_long_flag(r, str_of(arg + 2));
    return read_short_flags(r, arg + 1);
}

// ---- the whole ----------------------------------------------------------------------------------

static int check_flags(const struct reader *r)
{
    const struct cli *cli = r->cli;
    for (int i = 0; i < FLAG_COUNT; i++) {
        const struct cli_flag *f = &cli_flags[i];
        if (cli->given[i] == 0)
            continue;
        if (!flag_fits(cli->command, (enum flag_id)i)) {
            fprintf(r->err, "evlb: '%s' takes no --%s", cli->command->name, f->name);
            return usage(r, "", STR_NONE);
        }
        const char *words = i == FLAG_FORMAT ? cli->command->formats : f->words;
        if (words != NULL && !cli_word_in(words, cli->value[i])) {
            fprintf(r->err, "evlb: --%s is one of: %s; not '%s'\n", f->name, words, cli->value[i]);
            return EXIT_USAGE;
        }
    }
    return EXIT_OK;
}

static int too_many_words(const struct reader *r)
{
    const struct cli *cli = r->cli;
    const char *word = cli->operands[cli->command->max_operands];
    fprintf(r->err, "evlb: '%s' is one word too many for '%s'", word, cli->command->name);
    bool file = str_ends(str_of(word), STR(".yaml")) || str_ends(str_of(word), STR(".yml"));
    if (!file || !flag_fits(cli->command, FLAG_CONFIG))
        return usage(r, "", STR_NONE);
    fprintf(r->err, "; write: evlb %s -c %s\n", cli->command->name, word);
    return EXIT_USAGE;
}

static int check_all(const struct reader *r)
{
    struct cli *cli = r->cli;
    cli->group = r->first_word;
    if (cli->given[FLAG_HELP] > 0)
        return EXIT_OK;
    if (r->first_word != NULL) {
        fprintf(r->err, "evlb: '%s' needs a second word", r->first_word);
        return usage(r, "", STR_NONE);
    }
    if (cli->command == NULL)
        return EXIT_OK;
    if (cli->n_operands > cli->command->max_operands)
        return too_many_words(r);
    return check_flags(r);
}

int cli_parse(int argc, char **argv, struct cli *out, FILE *err)
{
    size_t room = (size_t)MAX_OF(argc, 1);
    *out = (struct cli){.argc = argc,
                        .argv = argv,
                        .to = xcalloc(room, sizeof(char *)),
                        .headers = xcalloc(room, sizeof(char *)),
                        .operands = xcalloc(room, sizeof(char *))};
    struct reader r = {.argc = argc, .next = 1, .argv = argv, .cli = out, .err = err};
    while (r.next < argc) {
        int status = read_argument(&r, argv[r.next++]);
        if (status != EXIT_OK)
            return status;
    }
    return check_all(&r);
}

void cli_free(struct cli *cli)
{
    free((void *)cli->to);
    free((void *)cli->headers);
    free((void *)cli->operands);
    *cli = (struct cli){0};
}
