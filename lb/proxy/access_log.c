// SPDX-License-Identifier: MIT
// The access log line. Runs in workers, called once when a request or session has ended.
//
// Written by hand into one array, without printf: this is on the path of every request. Texts that
// come from clients are escaped (base/json.h) and cut, so that whatever they hold, a line is one
// line of valid JSON and fits.
//
// Invariants: the longest texts allowed below plus all keys and numbers stay under
// ACCESS_LINE_MAX; a value that there is none of is null, never a missing key.
#include "proxy/access_log.h"

#include "base/json.h"

// The longest that each text may become, escaped, without quotes.
enum {
    CLIENT_MAX = 64,
    NAME_MAX_BYTES = 192,
    PROTO_MAX = 16,
    METHOD_MAX = 64,
    HOST_MAX = 384,
    PATH_MAX_BYTES = 3072,
    AGENT_MAX = 1024,
    REFERER_MAX = 1024,
    ID_MAX = 192,
    DETAIL_MAX = 192,
    TLS_MAX = 64,
    SNI_MAX = 256,
    SUBJECT_MAX = 512,
    KEYS_AND_NUMBERS = 1024,
};
_Static_assert(CLIENT_MAX + 3 * NAME_MAX_BYTES + PROTO_MAX + METHOD_MAX + HOST_MAX +
                       PATH_MAX_BYTES + AGENT_MAX + REFERER_MAX + ID_MAX + DETAIL_MAX + SNI_MAX +
                       SUBJECT_MAX + 3 * TLS_MAX + KEYS_AND_NUMBERS <
                   ACCESS_LINE_MAX,
               "every line fits");

#define PUT(at, literal) put_bytes(at, literal, sizeof(literal) - 1)

static char *put_bytes(char *at, const char *bytes, size_t n)
{
    memcpy(at, bytes, n);
    return at + n;
}

static char *put_u64(char *at, uint64_t value)
{
    return at + u64_to_text(value, at);
}

// `value` with leading zeros.
static char *put_padded(char *at, unsigned value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + digits;
}

// Quoted, escaped, at most `most` bytes long between the quotes; null when empty.
static char *put_text(char *at, struct str text, size_t most)
{
    if (text.len == 0)
        return PUT(at, "null");
    char *begin = at + 1;
    *at = '"';
    at = begin + json_escape(&text, begin, most - 3);
    if (text.len > 0)
        at = PUT(at, "...");
    *at = '"';
    return at + 1;
}

static char *put_ms(char *at, int32_t ms)
{
    return ms < 0 ? PUT(at, "null") : put_u64(at, (uint64_t)ms);
}

// Days since 1970 to a date of the Gregorian calendar: Howard Hinnant, "chrono-Compatible
// Low-Level Date Algorithms", civil_from_days; for days >= 0.
static char *put_date(char *at, uint32_t days)
{
    uint32_t z = days + 719468, era = z / 146097, day_of_era = z % 146097;
    uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t month_from_march = (5 * day_of_year + 2) / 153;
    uint32_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    uint32_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    at = put_padded(at, year_of_era + era * 400 + (month <= 2), 4);
    *at++ = '-';
    at = put_padded(at, month, 2);
    *at++ = '-';
    return put_padded(at, day, 2);
}

// RFC 3339 in UTC with milliseconds.
static char *put_time(char *at, int64_t wall_ms)
{
    uint64_t ms = wall_ms > 0 ? (uint64_t)wall_ms : 0;
    uint32_t second = (uint32_t)(ms / 1000 % 86400);
    at = put_date(at, (uint32_t)(ms / 86400000));
    *at++ = 'T';
    at = put_padded(at, second / 3600, 2);
    *at++ = ':';
    at = put_padded(at, second / 60 % 60, 2);
    *at++ = ':';
    at = put_padded(at, second % 60, 2);
    *at++ = '.';
    at = put_padded(at, (unsigned)(ms % 1000), 3);
    *at++ = 'Z';
    return at;
}

static char *put_client(char *at, const union ip_addr *ip)
{
    char text[ADDR_TEXT];
    if (ip->sa.sa_family != AF_INET)
        return put_text(at, (struct str){text, ip_format(ip, text)}, CLIENT_MAX);
    const unsigned char *b = (const unsigned char *)&ip->v4.sin_addr;
    *at++ = '"';
    for (int i = 0; i < 4; i++) {
        at = put_u64(at, b[i]);
        *at++ = i < 3 ? '.' : '"';
    }
    return at;
}

static char *put_request(char *at, const struct access_record *r)
{
    at = put_text(PUT(at, ",\"method\":"), r->method, METHOD_MAX);
    at = put_text(PUT(at, ",\"host\":"), r->host, HOST_MAX);
    at = put_text(PUT(at, ",\"path\":"), r->path, PATH_MAX_BYTES);
    at = PUT(at, ",\"status\":");
    at = r->status == 0 ? PUT(at, "null") : put_u64(at, r->status);
    at = put_u64(PUT(at, ",\"bytes_in\":"), r->bytes_in);
    at = put_u64(PUT(at, ",\"bytes_out\":"), r->bytes_out);
    at = put_text(PUT(at, ",\"proto\":"), str_of(r->proto), PROTO_MAX);
    at = put_u64(PUT(at, ",\"retries\":"), r->retries);
    at = put_text(PUT(at, ",\"request_id\":"), r->request_id, ID_MAX);
    at = put_text(PUT(at, ",\"ua\":"), r->user_agent, AGENT_MAX);
    return put_text(PUT(at, ",\"referer\":"), r->referer, REFERER_MAX);
}

static char *put_tls(char *at, const struct tls_facts *tls)
{
    at = put_text(PUT(at, ",\"tls\":"), str_of(tls->version), TLS_MAX);
    at = put_text(PUT(at, ",\"tls_cipher\":"), str_of(tls->cipher), TLS_MAX);
    at = put_text(PUT(at, ",\"sni\":"), tls->sni, SNI_MAX);
    at = put_text(PUT(at, ",\"alpn\":"), tls->alpn, TLS_MAX);
    at = tls->version == NULL ? PUT(at, ",\"tls_resumed\":null")
         : tls->resumed       ? PUT(at, ",\"tls_resumed\":true")
                              : PUT(at, ",\"tls_resumed\":false");
    return put_text(PUT(at, ",\"client_cert\":"), tls->peer != NULL ? tls->peer->subject : STR_NONE,
                    SUBJECT_MAX);
}

static char *put_timers(char *at, const struct access_record *r)
{
    at = put_ms(PUT(at, ",\"t_idle\":"), r->t_idle_ms);
    at = put_ms(PUT(at, ",\"t_request\":"), r->t_request_ms);
    at = put_ms(PUT(at, ",\"t_queue\":"), r->t_queue_ms);
    at = put_ms(PUT(at, ",\"t_connect\":"), r->t_connect_ms);
    at = put_ms(PUT(at, ",\"t_response\":"), r->t_response_ms);
    at = put_ms(PUT(at, ",\"t_data\":"), r->t_data_ms);
    return put_ms(PUT(at, ",\"t_total\":"), r->t_total_ms);
}

static char *put_end(char *at, const struct access_record *r)
{
    const struct end_info *end = end_info(r->end);
    struct str detail = str_of(r->detail != NULL ? r->detail : r->tls.failure);
    at = put_bytes(PUT(at, ",\"term\":\""), end->letters, strlen(end->letters));
    at = put_bytes(PUT(at, "\",\"end\":\""), end->name, strlen(end->name));
    at = put_text(PUT(at, "\",\"detail\":"), detail, DETAIL_MAX);
    return PUT(at, "}\n");
}

size_t access_log_format(const struct access_record *r, char out[ACCESS_LINE_MAX])
{
    char *at = put_time(PUT(out, "{\"ts\":\""), r->ended_ms);
    at = put_client(PUT(at, "\",\"client\":"), r->client);
    at = put_text(PUT(at, ",\"frontend\":"), r->frontend, NAME_MAX_BYTES);
    at = put_text(PUT(at, ",\"backend\":"), r->backend, NAME_MAX_BYTES);
    at = put_text(PUT(at, ",\"server\":"), r->server, NAME_MAX_BYTES);
    at = put_request(at, r);
    at = put_tls(at, &r->tls);
    at = put_timers(at, r);
    at = put_end(at, r);
    size_t n = (size_t)(at - out);
    lb_assert(n < ACCESS_LINE_MAX);
    return n;
}

bool access_log_write(struct ring *ring, const struct access_record *r)
{
    char line[ACCESS_LINE_MAX];
    return ring_put(ring, line, access_log_format(r, line));
}
