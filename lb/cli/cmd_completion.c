// SPDX-License-Identifier: MIT
// `evlb completion SHELL`: completion scripts written from the tables of commands.c. Keys after
// `explain` are listed when the script is made; names of backends and servers are asked of the
// running evlb when they are wanted.
#include "cli/cli.h"
#include "conf/load.h"

// The first word of a command, and whether an earlier row begins with it.
static struct str first_word(size_t i)
{
    struct str rest = str_of(cli_commands[i].name);
    return str_cut(&rest, ' ');
}

static bool first_of_its_word(size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (cli_commands[k].kind == COMMAND_SHOWN && str_eq(first_word(k), first_word(i)))
            return false;
    }
    return true;
}

// The words that may stand first, separated by spaces.
static void print_first_words(void)
{
    const char *separator = "";
    for (size_t i = 0; i < cli_command_count; i++) {
        if (cli_commands[i].kind != COMMAND_SHOWN || !first_of_its_word(i))
            continue;
        printf("%s%.*s", separator, STR_FMT(first_word(i)));
        separator = " ";
    }
}

static void print_flags(const struct cli_command *c, const char *separator)
{
    for (int id = 0; id < FLAG_COUNT; id++) {
        if (id == FLAG_HELP || (c->flags & FLAG_BIT(id)) != 0)
            printf("%s--%s", separator, cli_flags[id].name);
    }
}

// What may follow a command besides flags, for the shells that have no words of their own for it.
static const struct {
    const char *command, *words;
    bool names; // of backends and servers, too
} operands[] = {
    {"completion", "bash zsh fish", false},
    {"explain", "route", false},
    {"ctl show", "", true},
    {"ctl server", "drain maint ready weight add remove", true},
    {"ctl backend", "switch", true},
    {"ctl certs", "reload", false},
    {"ctl worker", "restart", false},
    {"ctl log", "level reopen error warning info debug", false},
};

static void print_operands(const struct cli_command *c)
{
    for (size_t i = 0; i < ARRAY_LEN(operands); i++) {
        if (strcmp(c->name, operands[i].command) == 0)
            printf(" %s%s", operands[i].words,
                   operands[i].names ? " $(evlb ctl show --format=names 2>/dev/null)" : "");
    }
    if (strcmp(c->name, "explain") == 0)
        printf(" $(evlb_keys)");
}

static void print_flag_values(void)
{
    printf("    case $prev in\n"
           "    -c | --config) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
           "    --socket) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
           "    --mode) COMPREPLY=($(compgen -W 'http tcp' -- \"$cur\")); return ;;\n"
           "    --format) COMPREPLY=($(compgen -W \"$(evlb_formats)\" -- \"$cur\")); return ;;\n"
           "    esac\n");
}

static void print_keys(void)
{
    printf("evlb_keys() {\n    cat <<'KEYS'\n");
    config_list_keys(stdout);
    printf("KEYS\n}\n");
}

// What the words typed so far are matched with: the name of a command, or the first word of some.
static void print_formats(void)
{
    printf("evlb_formats() {\n    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        if (c->kind == COMMAND_SHOWN && c->formats != NULL)
            printf("    \"%s%s*) echo %s ;;\n", c->name, strchr(c->name, ' ') ? "\"" : " \"",
                   c->formats);
    }
    printf("    esac\n}\n");
}

// The second words of a group ("ctl").
static void print_second_words(struct str first)
{
    printf("    \"%.*s\") words=\"", STR_FMT(first));
    for (size_t i = 0; i < cli_command_count; i++) {
        struct str rest = str_of(cli_commands[i].name);
        if (cli_commands[i].kind == COMMAND_SHOWN && str_eq(str_cut(&rest, ' '), first))
            printf("%.*s ", STR_FMT(rest));
    }
    printf("\" ;;\n");
}

static void print_cases(void)
{
    printf("    local command=${COMP_WORDS[1]}\n"
           "    [[ $command == ctl && $COMP_CWORD -gt 2 ]] && command+=\" ${COMP_WORDS[2]}\"\n"
           "    case \"$command\" in\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        if (c->kind != COMMAND_SHOWN)
            continue;
        if (strchr(c->name, ' ') != NULL && first_of_its_word(i))
            print_second_words(first_word(i));
        printf("    \"%s\") words=\"", c->name);
        print_flags(c, " ");
        print_operands(c);
        printf("\" ;;\n");
    }
    printf("    esac\n");
}

static int completion_bash(void)
{
    printf("# bash completion for evlb %s; source <(evlb completion bash)\n", EVLB_VERSION);
    print_keys();
    print_formats();
    printf("_evlb() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=''\n");
    print_flag_values();
    printf("    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words='");
    print_first_words();
    printf(" --help --version'\n    fi\n");
    print_cases();
    printf("    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "}\n"
           "complete -F _evlb evlb\n");
    return EXIT_OK;
}

// zsh runs bash completion functions through bashcompinit.
static int completion_zsh(void)
{
    printf("#compdef evlb\nautoload -U +X bashcompinit && bashcompinit\n");
    return completion_bash();
}

// `when`: the condition of fish, a list of words that stand on the line already.
static void fish_flag(const char *when, enum flag_id id, const char *formats)
{
    const struct cli_flag *f = &cli_flags[id];
    const char *words = id == FLAG_FORMAT ? formats : f->words;
    printf("complete -c evlb -n '%s' -l %s", when, f->name);
    if (f->letter != 0)
        printf(" -s %c", f->letter);
    if (words != NULL)
        printf(" -x -a '%s'", words);
    else if (f->value != NULL && f->value[0] != '[')
        printf(" -r%s", id == FLAG_CONFIG || id == FLAG_SOCKET ? "F" : "");
    printf("\n");
}

static void fish_command(size_t i)
{
    const struct cli_command *c = &cli_commands[i];
    struct str rest = str_of(c->name), first = str_cut(&rest, ' ');
    char when[160];
    (void)snprintf(when, sizeof(when), "__fish_seen_subcommand_from %.*s", STR_FMT(first));
    if (rest.p == NULL || first_of_its_word(i))
        printf("complete -c evlb -n __fish_use_subcommand -a %.*s -d '%s'\n", STR_FMT(first),
               rest.p == NULL ? c->summary : "ask or change a running evlb");
    if (rest.p != NULL) {
        printf("complete -c evlb -n '%s' -a %.*s -d '%s'\n", when, STR_FMT(rest), c->summary);
        (void)snprintf(when, sizeof(when),
                       "__fish_seen_subcommand_from %.*s; and __fish_seen_subcommand_from %.*s",
                       STR_FMT(first), STR_FMT(rest));
    }
    for (int id = 0; id < FLAG_COUNT; id++) {
        if ((c->flags & FLAG_BIT(id)) != 0)
            fish_flag(when, (enum flag_id)id, c->formats);
    }
    for (size_t k = 0; k < ARRAY_LEN(operands); k++) {
        if (strcmp(c->name, operands[k].command) == 0)
            printf("complete -c evlb -n '%s' -a '%s%s'\n", when, operands[k].words,
                   operands[k].names ? " (evlb ctl show --format=names 2>/dev/null)" : "");
    }
}

static int completion_fish(void)
{
    printf("# fish completion for evlb %s\ncomplete -c evlb -f\n", EVLB_VERSION);
    for (size_t i = 0; i < cli_command_count; i++) {
        if (cli_commands[i].kind == COMMAND_SHOWN)
            fish_command(i);
    }
    return EXIT_OK;
}

int cmd_completion(const struct cli *cli)
{
    static const struct {
        const char *shell;
        int (*print)(void);
    } shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};
    const char *shell = cli->n_operands > 0 ? cli->operands[0] : "";
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        if (strcmp(shells[i].shell, shell) == 0)
            return shells[i].print();
    }
    fprintf(stderr, "evlb: completion for one of: bash zsh fish; not '%s'\n", shell);
    return EXIT_USAGE;
}
