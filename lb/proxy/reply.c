// SPDX-License-Identifier: MIT
// Local answers. Run in workers; called by http_proxy.c. The body is small, HTML or JSON by what
// the client accepts; nothing of the request is repeated in it but the Location of a redirect,
// which route.c has made free of control characters.
#include "proxy/reply.h"

#include <stdio.h>

static const struct {
    uint16_t status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {410, "Gone"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {421, "Misdirected Request"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *reply_reason(uint16_t status)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return status < 400 ? "Redirection" : status < 500 ? "Client Error" : "Server Error";
}

static int write_page(const struct reply *r, char *out, size_t size)
{
    const char *reason = reply_reason(r->status);
    if (r->json)
        return snprintf(out, size, "{\"status\":%u,\"error\":\"%s\",\"detail\":\"%s\"}\n",
                        r->status, reason, r->sentence);
    return snprintf(out, size, "<!doctype html><title>%u %s</title><h1>%u %s</h1><p>%s.</p>\n",
                    r->status, reason, r->status, reason, r->sentence);
}

static bool put_field(struct buf *out, const char *name, struct str value)
{
    return value.len == 0 || (buf_append(out, name, strlen(name)) &&
                              buf_append(out, value.p, value.len) && buf_append(out, "\r\n", 2));
}

static const char *content_type(const struct reply *r)
{
    if (r->text.len > 0) // nobody is to take it for a page, or to keep it
        return "application/octet-stream\r\nX-Content-Type-Options: nosniff\r\n"
               "Cache-Control: no-store";
    return r->json ? "application/json" : "text/html; charset=utf-8";
}

static bool put_head(struct buf *out, const struct reply *r, size_t body)
{
    char head[512], seconds[16] = "";
    int h = snprintf(
        head, sizeof(head), "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s",
        r->status, reply_reason(r->status), content_type(r), body,
        r->status == 405 ? "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n" : "",
        r->close         ? "Connection: close\r\n"
        : r->http10_keep ? "Connection: keep-alive\r\n"
                         : "");
    lb_assert(h > 0 && (size_t)h < sizeof(head));
    if (r->retry_after_s > 0)
        snprintf(seconds, sizeof(seconds), "%u", r->retry_after_s);
    return buf_append(out, head, (size_t)h) && put_field(out, "Location: ", r->location) &&
           put_field(out, "Retry-After: ", str_of(seconds)) &&
           put_field(out, "Strict-Transport-Security: ", r->hsts) && buf_append(out, "\r\n", 2);
}

bool reply_write(const struct reply *r, struct buf *out)
{
    char page[1024];
    struct str body = r->text;
    if (body.len == 0) {
        int n = write_page(r, page, sizeof(page));
        lb_assert(n > 0 && (size_t)n < sizeof(page));
        body = (struct str){page, (size_t)n};
    }
    return put_head(out, r, body.len) && (r->head_only || buf_append(out, body.p, body.len));
}
