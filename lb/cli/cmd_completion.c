// SPDX-License-Identifier: MIT
// `evlb completion SHELL`: completion scripts written from the tables of commands.c. Keys after
// `explain` are listed when the script is made.
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

// What may follow a command besides flags.
static void print_operands(const struct cli_command *c)
{
    if (strcmp(c->name, "completion") == 0)
        printf(" bash zsh fish");
    if (strcmp(c->name, "explain") == 0)
        printf(" route $(evlb_keys)");
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

static void print_formats(void)
{
    printf("evlb_formats() {\n    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        if (cli_commands[i].kind == COMMAND_SHOWN && cli_commands[i].formats != NULL)
            printf("    %.*s) echo %s ;;\n", STR_FMT(first_word(i)), cli_commands[i].formats);
    }
    printf("    esac\n}\n");
}

static void print_cases(void)
{
    printf("    case \"${COMP_WORDS[1]}\" in\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        if (c->kind != COMMAND_SHOWN)
            continue;
        struct str rest = str_of(c->name), first = str_cut(&rest, ' ');
        printf("    %.*s) words=\"%.*s", STR_FMT(first), STR_FMT(rest));
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

static void fish_flag(const char *command, enum flag_id id, const char *formats)
{
    const struct cli_flag *f = &cli_flags[id];
    const char *words = id == FLAG_FORMAT ? formats : f->words;
    printf("complete -c evlb -n '__fish_seen_subcommand_from %s' -l %s", command, f->name);
    if (f->letter != 0)
        printf(" -s %c", f->letter);
    if (words != NULL)
        printf(" -x -a '%s'", words);
    else if (f->value != NULL)
        printf(" -r%s", id == FLAG_CONFIG || id == FLAG_SOCKET ? "F" : "");
    printf("\n");
}

static int completion_fish(void)
{
    printf("# fish completion for evlb %s\ncomplete -c evlb -f\n", EVLB_VERSION);
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        if (c->kind != COMMAND_SHOWN)
            continue;
        char first[32];
        struct str rest = str_of(c->name);
        (void)str_copy(str_cut(&rest, ' '), first, sizeof(first));
        printf("complete -c evlb -n __fish_use_subcommand -a %s -d '%s'\n", first, c->summary);
        if (rest.p != NULL)
            printf("complete -c evlb -n '__fish_seen_subcommand_from %s' -a %.*s\n", first,
                   STR_FMT(rest));
        for (int id = 0; id < FLAG_COUNT; id++) {
            if ((c->flags & FLAG_BIT(id)) != 0)
                fish_flag(first, (enum flag_id)id, c->formats);
        }
    }
    printf("complete -c evlb -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n");
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
