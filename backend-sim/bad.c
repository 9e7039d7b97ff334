/* SPDX-License-Identifier: MIT */
/*
 * The table of malformed responses: bad=NAME answers with exactly these bytes.
 *
 * Most rows leave the connection open: a balancer has to see the mistake in the bytes, not in an
 * end of file, and must not take a poisoned connection back into its pool. Rows whose point is the
 * end of file close it. The sources of the rows are RFC 9112 (sections 2 to 7), RFC 9110 and past
 * vulnerabilities of balancers: chunk size cut to 32 bits, no check for CRLF behind a chunk, empty
 * header name, Set-Cookie2, 101 nobody asked for, a body behind 204 and 304.
 *
 * "poison" in a body is a complete response: on a reused connection it would answer the next
 * request.
 */
#include "bad.h"

#include <string.h>

#define BIG_LINE_BYTES (64U * 1024U)
#define MANY_HEADERS 1000U

#define OK "HTTP/1.1 200 OK\r\n"
#define TWO "Content-Length: 2\r\n\r\nhi"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
#define POISON "HTTP/1.1 200 OK\r\nX-Poison: 1\r\nContent-Length: 6\r\n\r\npoison"

static void make_huge_header(struct buf *out)
{
    buf_add_text(out, OK "X-Huge: ");
    memset(buf_reserve(out, BIG_LINE_BYTES), 'h', BIG_LINE_BYTES);
    buf_added(out, BIG_LINE_BYTES);
    buf_add_text(out, "\r\n" TWO);
}

static void make_many_headers(struct buf *out)
{
    buf_add_text(out, OK);
    for (unsigned i = 0; i < MANY_HEADERS; i++)
        buf_addf(out, "X-Many-%u: %u\r\n", i, i);
    buf_add_text(out, TWO);
}

static void make_huge_reason(struct buf *out)
{
    buf_add_text(out, "HTTP/1.1 200 ");
    memset(buf_reserve(out, BIG_LINE_BYTES), 'r', BIG_LINE_BYTES);
    buf_added(out, BIG_LINE_BYTES);
    buf_add_text(out, "\r\n" TWO);
}

static void make_endless_head(struct buf *out)
{
    buf_add_text(out, OK);
    for (unsigned i = 0; out->len < 4U * 1024U * 1024U; i++)
        buf_addf(out, "X-Endless-%u: 0123456789012345678901234567890123456789\r\n", i);
}

static void make_many_1xx(struct buf *out)
{
    for (unsigned i = 0; i < 1000; i++)
        buf_add_text(out, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    buf_add_text(out, OK TWO);
}

static void make_huge_extension(struct buf *out)
{
    buf_add_text(out, CHUNKED "2;x=");
    memset(buf_reserve(out, BIG_LINE_BYTES), 'e', BIG_LINE_BYTES);
    buf_added(out, BIG_LINE_BYTES);
    buf_add_text(out, "\r\nhi\r\n0\r\n\r\n");
}

static void make_huge_trailers(struct buf *out)
{
    buf_add_text(out, CHUNKED "2\r\nhi\r\n0\r\n");
    for (unsigned i = 0; i < 4 * MANY_HEADERS; i++)
        buf_addf(out, "X-Trailer-%u: 0123456789012345678901234567890123456789\r\n", i);
    buf_add_text(out, "\r\n");
}

static void make_one_byte_chunks(struct buf *out)
{
    buf_add_text(out, CHUNKED);
    for (unsigned i = 0; i < 100000; i++)
        buf_add_text(out, "1\r\nx\r\n");
    buf_add_text(out, "0\r\n\r\n");
}

#define BYTES(text) text, sizeof(text) - 1, NULL
#define MADE(make) NULL, 0, make
#define KEEP false
#define CLOSE true
/* clang-format off */
static const struct bad_response table[] = {
    /* the status line */
    {"empty", BYTES(""), CLOSE, "FIN and not a byte"},
    {"garbage", BYTES("\x16\x03\x01 not http at all \xff\xfe\r\n\r\n"), KEEP, "no HTTP"},
    {"no-status-line", BYTES("Content-Type: text/plain\r\n" TWO), KEEP, "headers without a status line"},
    {"http09", BYTES("hi\n"), CLOSE, "a bare body, as in HTTP/0.9"},
    {"bad-version", BYTES("HTTP/1.x 200 OK\r\n" TWO), KEEP, "HTTP/1.x"},
    {"http2-version", BYTES("HTTP/2.0 200 OK\r\n" TWO), KEEP, "HTTP/2.0 200"},
    {"long-version", BYTES("HTTP/1.10 200 OK\r\n" TWO), KEEP, "HTTP/1.10"},
    {"lower-version", BYTES("http/1.1 200 OK\r\n" TWO), KEEP, "http/1.1"},
    {"other-protocol", BYTES("ICY 200 OK\r\n" TWO), KEEP, "ICY 200 OK"},
    {"status-99", BYTES("HTTP/1.1 99 Low\r\n" TWO), KEEP, "two digits"},
    {"status-099", BYTES("HTTP/1.1 099 Low\r\n" TWO), KEEP, "below 100"},
    {"status-1000", BYTES("HTTP/1.1 1000 High\r\n" TWO), KEEP, "four digits"},
    {"status-000", BYTES("HTTP/1.1 000 Zero\r\n" TWO), KEEP, "zero"},
    {"status-text", BYTES("HTTP/1.1 OK 200\r\n" TWO), KEEP, "letters for the status"},
    {"status-sign", BYTES("HTTP/1.1 +20 OK\r\n" TWO), KEEP, "a sign in the status"},
    {"no-status", BYTES("HTTP/1.1\r\n" TWO), KEEP, "only the version"},
    {"no-reason", BYTES("HTTP/1.1 200\r\n" TWO), KEEP, "no reason and no space (widely accepted)"},
    {"nul-reason", BYTES("HTTP/1.1 200 O\0K\r\n" TWO), KEEP, "NUL in the reason"},
    {"two-spaces", BYTES("HTTP/1.1  200 OK\r\n" TWO), KEEP, "two spaces before the status"},
    {"leading-crlf", BYTES("\r\n" OK TWO), KEEP, "empty line before the status line"},
    {"leading-space", BYTES(" " OK TWO), KEEP, "space before the status line"},
    {"huge-reason", MADE(make_huge_reason), KEEP, "64 KiB of reason"},
    /* header lines */
    {"space-colon", BYTES(OK "X-Bad : 1\r\n" TWO), KEEP, "space before the colon"},
    {"space-colon-length", BYTES(OK "Content-Length : 2\r\n\r\nhi"), KEEP, "the same in Content-Length"},
    {"no-colon", BYTES(OK "X-Bad\r\n" TWO), KEEP, "header line without colon"},
    {"empty-name", BYTES(OK ": value\r\n" TWO), KEEP, "empty header name"},
    {"bad-name", BYTES(OK "X(Bad): 1\r\n" TWO), KEEP, "no token for a name"},
    {"nul-name", BYTES(OK "X-\0Bad: 1\r\n" TWO), KEEP, "NUL in a name"},
    {"nul-value", BYTES(OK "X-Bad: a\0b\r\n" TWO), KEEP, "NUL in a value"},
    {"ctl-value", BYTES(OK "X-Bad: a\x01\x1b[2Jb\r\n" TWO), KEEP, "control bytes in a value"},
    {"high-value", BYTES(OK "X-High: \xe4\xff\r\n" TWO), KEEP, "bytes above 127 (allowed, obs-text)"},
    {"bare-cr", BYTES(OK "X-Bad: a\rX-Hidden: 1\r\n" TWO), KEEP, "CR within a value"},
    {"bare-lf", BYTES("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi"), KEEP, "LF for every CRLF"},
    {"bare-lf-line", BYTES(OK "X-Bad: 1\nX-Hidden: 1\r\n" TWO), KEEP, "one LF among CRLF"},
    {"obs-fold", BYTES(OK "X-Fold: a\r\n b\r\n" TWO), KEEP, "folded line"},
    {"fold-first", BYTES(OK " X-Fold: a\r\n" TWO), KEEP, "the first header line begins with a space"},
    {"fold-length", BYTES(OK "Content-Length:\r\n 2\r\n\r\nhi"), KEEP, "folded Content-Length"},
    {"huge-header", MADE(make_huge_header), KEEP, "one header line of 64 KiB"},
    {"many-headers", MADE(make_many_headers), KEEP, "1000 header lines"},
    {"endless-head", MADE(make_endless_head), KEEP, "4 MiB of headers without an end"},
    {"cut-head", BYTES(OK "Content-Le"), CLOSE, "FIN within the head"},
    {"half-head", BYTES(OK "Content-Le"), KEEP, "half a head, then silence"},
    {"set-cookie2", BYTES(OK "Set-Cookie2: a=b; Version=1\r\nSet-Cookie: ;,= ,\r\n" TWO), KEEP,
     "Set-Cookie2 and an empty cookie"},
    {"connection-names", BYTES(OK "Connection: X-Server, Content-Length, Host\r\nX-Server: x\r\n" TWO),
     KEEP, "Connection names Content-Length"},
    /* framing */
    {"two-lengths", BYTES(OK "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!"), KEEP,
     "two different Content-Length lines"},
    {"same-lengths", BYTES(OK "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi"), KEEP,
     "the same Content-Length twice (may be folded to one)"},
    {"list-length", BYTES(OK "Content-Length: 2, 3\r\n\r\nhi!"), KEEP, "Content-Length: 2, 3"},
    {"sign-length", BYTES(OK "Content-Length: +2\r\n\r\nhi"), KEEP, "Content-Length: +2"},
    {"minus-length", BYTES(OK "Content-Length: -2\r\n\r\nhi"), KEEP, "Content-Length: -2"},
    {"hex-length", BYTES(OK "Content-Length: 0x2\r\n\r\nhi"), KEEP, "Content-Length: 0x2"},
    {"empty-length", BYTES(OK "Content-Length: \r\n\r\nhi"), KEEP, "Content-Length without a value"},
    {"overflow-length", BYTES(OK "Content-Length: 18446744073709551618\r\n\r\nhi"), KEEP,
     "Content-Length of 2^64 + 2"},
    {"short-body", BYTES(OK "Content-Length: 10\r\n\r\nhi"), CLOSE, "FIN before Content-Length is reached"},
    {"long-body", BYTES(OK TWO POISON), KEEP, "a second response behind the body: poison"},
    {"cl-te", BYTES(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
     KEEP, "Content-Length and Transfer-Encoding"},
    {"te-gzip", BYTES(OK "Transfer-Encoding: gzip\r\n\r\nhi"), CLOSE, "Transfer-Encoding: gzip, to the FIN"},
    {"te-gzip-chunked", BYTES(OK "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), KEEP,
     "Transfer-Encoding: gzip, chunked"},
    {"te-chunked-gzip", BYTES(OK "Transfer-Encoding: chunked, gzip\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), CLOSE,
     "chunked is not last"},
    {"te-twice", BYTES(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "2\r\nhi\r\n0\r\n\r\n"), KEEP, "chunked twice"},
    {"te-vt", BYTES(OK "Transfer-Encoding: \x0b" "chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), KEEP,
     "vertical tab before chunked"},
    {"te-10", BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), CLOSE,
     "chunked in HTTP/1.0"},
    {"chunk-size", BYTES(CHUNKED "zz\r\nhi\r\n0\r\n\r\n"), KEEP, "chunk size zz"},
    {"chunk-empty-size", BYTES(CHUNKED "\r\nhi\r\n0\r\n\r\n"), KEEP, "chunk size missing"},
    {"chunk-0x", BYTES(CHUNKED "0x2\r\nhi\r\n0\r\n\r\n"), KEEP, "chunk size 0x2"},
    {"chunk-sign", BYTES(CHUNKED "+2\r\nhi\r\n0\r\n\r\n"), KEEP, "chunk size +2"},
    {"chunk-space", BYTES(CHUNKED "2 \r\nhi\r\n0\r\n\r\n"), KEEP, "space behind the chunk size"},
    {"chunk-overflow", BYTES(CHUNKED "100000005\r\nhello\r\n0\r\n\r\n" POISON), KEEP,
     "chunk size 100000005: 5 when cut to 32 bits"},
    {"chunk-overflow-64", BYTES(CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n" POISON), KEEP,
     "chunk size of 2^64 + 5"},
    {"chunk-zeros", BYTES(CHUNKED "00000000000000000000000000000002\r\nhi\r\n0\r\n\r\n"), KEEP,
     "chunk size with 31 leading zeros"},
    {"chunk-no-crlf", BYTES(CHUNKED "2\r\nhi0\r\n\r\n"), KEEP, "no CRLF behind a chunk"},
    {"chunk-bad-crlf", BYTES(CHUNKED "2\r\nhiXX0\r\n\r\n"), KEEP, "XX for the CRLF behind a chunk"},
    {"chunk-lf", BYTES(CHUNKED "2\nhi\n0\n\n"), KEEP, "LF for CRLF in the chunk framing"},
    {"chunk-ext-lf", BYTES(CHUNKED "2;a\nb\r\nhi\r\n0\r\n\r\n"), KEEP, "LF within a chunk extension"},
    {"chunk-huge-ext", MADE(make_huge_extension), KEEP, "chunk extension of 64 KiB"},
    {"chunk-cut", BYTES(CHUNKED "5\r\nhel"), CLOSE, "FIN within a chunk"},
    {"chunk-no-last", BYTES(CHUNKED "2\r\nhi\r\n"), CLOSE, "FIN without the last chunk"},
    {"chunk-no-end", BYTES(CHUNKED "2\r\nhi\r\n0\r\n"), CLOSE, "FIN before the empty line at the end"},
    {"trailer-length", BYTES(CHUNKED "2\r\nhi\r\n0\r\nContent-Length: 9\r\nX-Ok: 1\r\n\r\n"), KEEP,
     "Content-Length as a trailer"},
    {"trailer-bad", BYTES(CHUNKED "2\r\nhi\r\n0\r\nno colon\r\n\r\n"), KEEP, "trailer without colon"},
    {"trailer-huge", MADE(make_huge_trailers), KEEP, "4000 trailers"},
    {"chunk-tiny", MADE(make_one_byte_chunks), KEEP, "100000 chunks of one byte (well-formed)"},
    /* bodies where none may be, and 1xx */
    {"204-body", BYTES("HTTP/1.1 204 No Content\r\n\r\n" POISON), KEEP, "poison behind a 204"},
    {"204-length", BYTES("HTTP/1.1 204 No Content\r\n" TWO), KEEP, "204 with Content-Length and a body"},
    {"204-chunked", BYTES("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), KEEP,
     "204 with Transfer-Encoding"},
    {"304-length", BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"), KEEP,
     "304 with a Content-Length (allowed: no body follows)"},
    {"304-body", BYTES("HTTP/1.1 304 Not Modified\r\n" TWO), KEEP, "304 with a body"},
    {"head-body", BYTES(OK "Content-Length: 57\r\n\r\n" POISON), KEEP, "a body even for HEAD"},
    {"101", BYTES("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
                  "raw bytes"), KEEP, "101 without being asked"},
    {"101-h2c", BYTES("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
     KEEP, "101 to another protocol"},
    {"100-only", BYTES("HTTP/1.1 100 Continue\r\n\r\n"), CLOSE, "100, then FIN"},
    {"1xx-length", BYTES("HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\n" OK TWO), KEEP,
     "103 with a Content-Length"},
    {"1xx-flood", MADE(make_many_1xx), KEEP, "1000 times 103 before the answer"},
};
/* clang-format on */

#define ROWS (sizeof(table) / sizeof(table[0]))

const struct bad_response *bad_find(struct slice name)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (slice_is(name, table[i].name))
            return &table[i];
    }
    return NULL;
}

void bad_write(const struct bad_response *bad, struct buf *out)
{
    if (bad->make)
        bad->make(out);
    else
        buf_add(out, bad->bytes, bad->len);
}

void bad_print_list(FILE *out)
{
    for (size_t i = 0; i < ROWS; i++)
        fprintf(out, "%s\t%s\n", table[i].name, table[i].help);
}
