// SPDX-License-Identifier: MIT
// `evlb explain sH`: what the end of a request in the access log means and what to do about it.
// The causes are those of core/end.h; the advice stands here, one sentence for each.
#include "cli/explain.h"

#include "cli/json_out.h"
#include "cli/source.h"
#include "core/end.h"

#define LINE_WIDTH 80u

// clang-format off
static const char *const advice[END_COUNT] = {
    [END_OK] = "Nothing: all went well.",
    [END_ACME_ANSWERED] = "Nothing: an ACME client has put a file into acme.webroot.",
    [END_ACME_BUSY] = "Too many challenges at a time (somebody guesses?), or the disk with acme.webroot is slow.",
    [END_REDIRECTED] = "Nothing: a route says redirect.",
    [END_DENIED] = "Nothing if the route is meant; 'evlb explain route URL' names it.",
    [END_NO_ROUTE] = "Add a last route without conditions, or look up the request with 'evlb explain route URL'.",
    [END_MISDIRECTED] = "The client asked on a connection to another name; browsers try again on a new one. A client that sends no name (SNI), or never the one of its Host, cannot be served.",
    [END_BAD_REQUEST] = "Look at the client: what it sent is no HTTP, or could be read in two ways.",
    [END_BAD_REQUEST_BODY] = "Look at the client: its chunks or its Content-Length are wrong.",
    [END_BAD_PROXY_HEADER] = "The listener has accept-proxy: every client must send a PROXY header and be in trusted-proxies.",
    [END_TLS_FAILED] = "The client does not trust the certificate, asks for a name of none (strict-sni), or shares no version or cipher with this frontend; the line's detail says which.",
    [END_CLIENT_CERT] = "client-ca says whose certificates are accepted here; the line's detail says what was wrong with this one.",
    [END_TLS_TIMEOUT] = "A client that connects and says nothing, or stops half way: a port check, a bad network, an attack. timeout.tls-handshake bounds it.",
    [END_CLIENT_CLOSED_IDLE] = "Nothing: browsers open connections ahead of need, and port checks do the same.",
    [END_CLIENT_CLOSED_REQUEST] = "Nothing if rare; many of them: a network fault or a scanner.",
    [END_CLIENT_CLOSED_CONNECT] = "The client did not want to wait: see t_connect, and lower timeout.connect if servers are lost.",
    [END_CLIENT_CLOSED_WAIT] = "The client did not want to wait: see t_response; the server is slower than its users' patience.",
    [END_CLIENT_CLOSED_DATA] = "Nothing if rare: users stop downloads.",
    [END_CLIENT_TIMEOUT_REQUEST] = "Slow or idle clients, or an attack with slow heads; timeout.request sets the limit.",
    [END_CLIENT_TIMEOUT_DATA] = "A stalled client; raise timeout.client if it is only slow.",
    [END_CLIENT_CLOSED_QUEUE] = "The client did not want to wait: see t_queue; the servers are at their max-connections.",
    [END_QUEUE_TIMEOUT] = "Add servers, or raise max-connections if the servers can take more; timeout.queue sets the limit.",
    [END_QUEUE_FULL] = "Add servers, or raise max-connections; a higher max-queue only makes more clients wait.",
    [END_NO_SERVER] = "Look at the servers with 'evlb ctl status': none has a weight above 0 and an address.",
    [END_SERVER_REFUSED] = "Start the server, or correct its address: nothing accepts connections there.",
    [END_SERVER_CONNECT_TIMEOUT] = "The server's host is down, filtered or out of backlog; timeout.connect sets the limit.",
    [END_SERVER_TLS] = "See 'detail' in the access log: the server's certificate is not for the name or from the authority that its tls settings expect, has expired, or the server wants a client certificate or another version, or speaks no TLS.",
    [END_SERVER_TLS_TIMEOUT] = "The server accepts connections and does not go on: it is overloaded, or speaks no TLS there. timeout.connect sets the limit.",
    [END_SERVER_CLOSED_WAIT] = "The application crashed or was restarted: see its log at that time.",
    [END_SERVER_TIMEOUT_WAIT] = "The application is too slow: see t_response; raise timeout.server only if it is meant to be.",
    [END_SERVER_DOWN] = "Look at the server; on-server-down: keep lets what is in progress go on.",
    [END_BAD_RESPONSE] = "Look at the application: its answer is no HTTP, or could be read in two ways.",
    [END_SERVER_CLOSED_DATA] = "The application died in the middle of its answer: see its log at that time.",
    [END_SERVER_TIMEOUT_DATA] = "The application stalled in the middle; raise timeout.server if it is meant to pause.",
    [END_BAD_RESPONSE_BODY] = "Look at the application: its chunks or its Content-Length are wrong.",
    [END_TUNNEL_IDLE] = "Let the application send pings, or raise timeout.tunnel.",
    [END_OUT_OF_MEMORY] = "Add memory, or lower max-connections.",
    [END_OUT_OF_SOCKETS] = "Raise the descriptor limit (LimitNOFILE), or give a server more addresses: its local ports are used up.",
    [END_SHUTDOWN] = "Raise timeout.shutdown if such long transfers should end by themselves.",
    [END_INTERNAL] = "Please report it, with the log lines around it.",
};
// clang-format on

static const char *who(char letter)
{
    static const struct {
        char letter;
        const char *words;
    } table[] = {
        {'-', "normal end"},
        {'C', "the client ended it"},
        {'S', "the server ended it"},
        {'P', "evlb refused it"},
        {'L', "evlb answered it"},
        {'R', "a resource ran out"},
        {'I', "a fault in evlb"},
        {'K', "evlb was told to end it"},
        {'D', "its server went down"},
        {'c', "the client was too slow"},
        {'s', "the server was too slow"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].letter == letter)
            return table[i].words;
    }
    return "unknown";
}

static const char *when(char letter)
{
    switch (letter) {
    case 'R':
        return "before or in the request";
    case 'Q':
        return "in the queue";
    case 'C':
        return "while connecting to a server";
    case 'H':
        return "while waiting for the head of the answer";
    case 'D':
        return "during the transfer";
    default:
        return "when all was done";
    }
}

const char *explain_end_advice(int cause)
{
    lb_assert(cause >= 0 && cause < END_COUNT && advice[cause] != NULL);
    return advice[cause];
}

static bool matches(const struct end_info *e, const char *word)
{
    return strcmp(e->letters, word) == 0 || strcmp(e->name, word) == 0;
}

bool explain_is_end(const char *word)
{
    for (int i = 0; i < END_COUNT; i++) {
        if (matches(end_info((enum end_cause)i), word))
            return true;
    }
    return false;
}

static void put_wrapped(const char *indent, const char *text)
{
    for (struct str rest = str_of(text); rest.p != NULL;) {
        struct str line = str_wrap(&rest, LINE_WIDTH - strlen(indent));
        printf("%s%.*s\n", indent, STR_FMT(line));
    }
}

static void print_cause(const struct end_info *e, int cause)
{
    struct arena *a = arena_new();
    const char *text = arena_printf(a, "%s: %s", e->name, e->sentence);
    if (e->status != 0)
        text =
            arena_printf(a, "%s (status %u if the client can still be answered)", text, e->status);
    putchar('\n');
    put_wrapped("", text);
    put_wrapped("  ", explain_end_advice(cause));
    arena_free(a);
}

static void print_text(const char *word)
{
    bool first = true;
    for (int i = 0; i < END_COUNT; i++) {
        const struct end_info *e = end_info((enum end_cause)i);
        if (!matches(e, word))
            continue;
        if (first)
            printf("%s: %s, %s\n", e->letters, who(e->letters[0]), when(e->letters[1]));
        first = false;
        print_cause(e, i);
    }
}

static int print_json(const char *word)
{
    struct buf out = {0};
    struct json j = {.out = &out};
    json_object(&j, NULL);
    json_array(&j, "causes");
    for (int i = 0; i < END_COUNT; i++) {
        const struct end_info *e = end_info((enum end_cause)i);
        if (!matches(e, word))
            continue;
        json_object(&j, NULL);
        json_text(&j, "name", str_of(e->name));
        json_text(&j, "letters", str_of(e->letters));
        json_u64(&j, "status", e->status);
        json_text(&j, "meaning", str_of(e->sentence));
        json_text(&j, "advice", str_of(explain_end_advice(i)));
        json_object_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);
    return json_print(&j);
}

int explain_end(const struct cli *cli, const char *word)
{
    if (cli_wants_json(cli))
        return print_json(word);
    print_text(word);
    return EXIT_OK;
}
