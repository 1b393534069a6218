/* The data of MX, SRV and address records (RFC 1035 §3.3.9, RFC 2782, RFC 3596 §2.2). */
#include "net/dns.h"

#include <arpa/inet.h>

#define NAME_BYTES_MAX 255u /* RFC 1035 §2.3.4 */

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Strict: a label may hold any byte (a dot, a NUL, an escape sequence), and none of those is a host to connect to. */
static enum err read_name(struct slice wire, struct arena *arena, const char **out_name)
{
    if (wire.len == 0 || wire.len > NAME_BYTES_MAX)
        return ERR_SYNTAX;
    char *name = arena_alloc(arena, wire.len);
    if (!name)
        return ERR_LIMIT;
    size_t len = 0, at = 0;
    while (slice_at(wire, at)) {
        size_t label = slice_at(wire, at++);
        if (label > 63 || at + label >= wire.len)
            return ERR_SYNTAX;
        if (len)
            name[len++] = '.';
        for (size_t end = at + label; at < end; at++) {
            char c = ascii_lower(wire.ptr[at]);
            if (!is_host_char(c))
                return ERR_SYNTAX;
            name[len++] = c;
        }
    }
    if (at + 1 != wire.len)
        return ERR_SYNTAX;
    name[len] = '\0';
    *out_name = name;
    return ERR_OK;
}

static unsigned number_at(struct slice rdata, size_t at)
{
    return (unsigned)slice_at(rdata, at) << 8 | slice_at(rdata, at + 1);
}

static enum err read_address(
    int family, size_t bytes, struct slice rdata, struct arena *arena, const char **out_text)
{
    if (rdata.len != bytes)
        return ERR_SYNTAX;
    char *text = arena_alloc(arena, INET6_ADDRSTRLEN);
    if (!text)
        return ERR_LIMIT;
    *out_text = inet_ntop(family, rdata.ptr, text, INET6_ADDRSTRLEN);
    return ERR_OK;
}

enum err dns_read_record(
    enum dns_type type, struct slice rdata, struct arena *arena, struct dns_record *out_record)
{
    struct dns_record record = { .text = "" };
    switch (type) {
    case DNS_A:
        TRY(read_address(AF_INET, 4, rdata, arena, &record.text));
        break;
    case DNS_AAAA:
        TRY(read_address(AF_INET6, 16, rdata, arena, &record.text));
        break;
    case DNS_MX:
        if (rdata.len < 3)
            return ERR_SYNTAX;
        record.priority = number_at(rdata, 0);
        TRY(read_name(slice_from_index(rdata, 2), arena, &record.text));
        break;
    case DNS_SRV:
        if (rdata.len < 7)
            return ERR_SYNTAX;
        record.priority = number_at(rdata, 0);
        record.weight = number_at(rdata, 2);
        record.port = number_at(rdata, 4);
        TRY(read_name(slice_from_index(rdata, 6), arena, &record.text));
        break;
    }
    *out_record = record;
    return ERR_OK;
}
