// SPDX-License-Identifier: MIT
// Reads addresses of listeners and servers. Pure. Called by the binders; each way to be wrong has a
// result of its own, so that the message can say what to write.
#include "conf/address.h"

#define HOST_NAME_MAX_BYTES 253
#define LABEL_MAX_BYTES 63

static bool is_host_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

static bool is_label(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_host_char(s.p[i]))
            return false;
    }
    return s.len > 0 && s.len <= LABEL_MAX_BYTES && s.p[0] != '-' && s.p[s.len - 1] != '-';
}

static bool all_digits_and_dots(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.p[i]) && s.p[i] != '.')
            return false;
    }
    return true;
}

bool address_is_host_name(struct str s)
{
    if (s.len == 0 || s.len > HOST_NAME_MAX_BYTES || all_digits_and_dots(s))
        return false;
    if (s.p[s.len - 1] == '.')
        s.len--;
    for (struct str rest = s; rest.p != NULL;) {
        if (!is_label(str_cut(&rest, '.')))
            return false;
    }
    return true;
}

static bool parse_port(struct str s, uint16_t *port)
{
    uint64_t value;
    if (s.len > 5 || !str_to_u64(s, &value) || value == 0 || value > 65535)
        return false;
    *port = (uint16_t)value;
    return true;
}

static enum address_result parse_unix(struct str path, struct address *out)
{
    if (path.len == 0 || path.p[0] != '/' || !addr_parse_unix(path, &out->addr))
        return ADDRESS_BAD_UNIX;
    return ADDRESS_OK;
}

// "[::1]:80"
static enum address_result parse_bracketed(struct str s, struct address *out)
{
    size_t close = str_find(s, ']');
    if (close == s.len)
        return ADDRESS_BAD_HOST;
    out->host = (struct str){s.p + 1, close - 1};
    struct str rest = {s.p + close + 1, s.len - close - 1};
    if (rest.len == 0)
        return ADDRESS_NO_PORT;
    if (rest.p[0] != ':' || !parse_port((struct str){rest.p + 1, rest.len - 1}, &out->port))
        return ADDRESS_BAD_PORT;
    if (str_find(out->host, ':') == out->host.len ||
        !addr_parse_ip(out->host, out->port, &out->addr))
        return ADDRESS_BAD_HOST;
    return ADDRESS_OK;
}

// "host:80"; the host may be empty or a name: the callers judge that.
static enum address_result parse_host_port(struct str s, struct address *out)
{
    size_t colon = str_find(s, ':');
    if (colon == s.len)
        return ADDRESS_NO_PORT;
    struct str rest = {s.p + colon + 1, s.len - colon - 1};
    if (str_find(rest, ':') < rest.len)
        return ADDRESS_BARE_IPV6;
    out->host = (struct str){s.p, colon};
    if (!parse_port(rest, &out->port))
        return ADDRESS_BAD_PORT;
    if (out->host.len > 0 && !addr_parse_ip(out->host, out->port, &out->addr)) {
        out->addr.len = 0;
        return ADDRESS_NAME;
    }
    return ADDRESS_OK;
}

// What both kinds share.
static enum address_result parse(struct str s, struct address *out)
{
    *out = (struct address){0};
    if (str_find(s, ' ') < s.len)
        return ADDRESS_WORDS;
    if (s.len >= 3 && memmem(s.p, s.len, "://", 3) != NULL)
        return ADDRESS_URL;
    if (str_starts(s, STR("unix:")))
        return parse_unix((struct str){s.p + 5, s.len - 5}, out);
    if (s.len > 0 && s.p[0] == '[')
        return parse_bracketed(s, out);
    return parse_host_port(s, out);
}

static enum address_result any_address(struct address *out)
{
    out->bare = true;
    out->host = STR_NONE;
    return addr_parse_ip(STR("::"), out->port, &out->addr) ? ADDRESS_OK : ADDRESS_BAD_HOST;
}

enum address_result address_parse_listen(struct str text, struct address *out)
{
    uint16_t port;
    enum address_result r = parse(text, out);
    if (r == ADDRESS_NO_PORT && all_digits_and_dots(text) && str_find(text, '.') == text.len) {
        if (!parse_port(text, &port))
            return ADDRESS_BAD_PORT;
        out->port = port;
        return any_address(out);
    }
    bool any = (r == ADDRESS_OK && out->addr.len == 0 && out->host.len == 0) ||
               (r == ADDRESS_NAME && str_eq(out->host, STR("*")));
    return any ? any_address(out) : r;
}

static enum address_result parse_srv(struct str name, struct address *out)
{
    *out = (struct address){.host = name, .srv = true};
    return address_is_host_name(name) ? ADDRESS_OK : ADDRESS_BAD_SRV;
}

enum address_result address_parse_server(struct str text, struct address *out)
{
    uint16_t port;
    if (str_starts(text, STR("srv:")))
        return parse_srv((struct str){text.p + 4, text.len - 4}, out);
    enum address_result r = parse(text, out);
    if (r == ADDRESS_NO_PORT && parse_port(text, &port)) {
        out->port = port;
        return ADDRESS_PORT_ONLY;
    }
    struct addr ignored;
    bool numeric = text.len > 0 && (text.p[0] == '[' || addr_parse_ip(text, 0, &ignored));
    if (r == ADDRESS_NO_PORT && !numeric && !address_is_host_name(text))
        return ADDRESS_BAD_HOST;
    if (r == ADDRESS_OK && out->addr.len == 0)
        return ADDRESS_PORT_ONLY;
    if (r == ADDRESS_NAME)
        return address_is_host_name(out->host) ? ADDRESS_OK : ADDRESS_BAD_HOST;
    return r;
}
