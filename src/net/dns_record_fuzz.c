/* Data of DNS records. First byte: the type. Oracle: what was read, written again, is the input in lower case. */
#include "net/dns.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static size_t write_name(const char *name, unsigned char *out)
{
    size_t at = 0;
    struct slice rest = slice_of(name), label;
    while (slice_cut(&rest, '.', &label)) {
        out[at++] = (unsigned char)label.len;
        memcpy(out + at, label.ptr, label.len);
        at += label.len;
    }
    out[at++] = 0;
    return at;
}

static void put(unsigned char *out, unsigned number)
{
    out[0] = (unsigned char)(number >> 8);
    out[1] = (unsigned char)number;
}

static size_t write_record(enum dns_type type, const struct dns_record *record, unsigned char *out)
{
    switch (type) {
    case DNS_A:
        assert(inet_pton(AF_INET, record->text, out) == 1);
        return 4;
    case DNS_AAAA:
        assert(inet_pton(AF_INET6, record->text, out) == 1);
        return 16;
    case DNS_MX:
        put(out, record->priority);
        return 2 + write_name(record->text, out + 2);
    case DNS_SRV:
        put(out, record->priority);
        put(out + 2, record->weight);
        put(out + 4, record->port);
        return 6 + write_name(record->text, out + 6);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_SRV };
    if (len == 0)
        return 0;
    enum dns_type type = types[bytes[0] % 4];
    struct slice rdata = slice_from(bytes + 1, len - 1);
    struct dns_record record;
    struct arena arena;
    unsigned char again[300];
    arena_init(&arena, 4096);
    if (dns_read_record(type, rdata, &arena, &record) == ERR_OK) {
        size_t written = write_record(type, &record, again);
        size_t numbers = type == DNS_MX ? 2 : type == DNS_SRV ? 6 : rdata.len;
        assert(written == rdata.len);
        for (size_t i = 0; i < written; i++)
            assert(again[i] ==
                   (i < numbers ? slice_at(rdata, i) : (unsigned char)ascii_lower(rdata.ptr[i])));
    }
    arena_done(&arena);
    return 0;
}
