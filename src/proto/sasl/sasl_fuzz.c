/* Bytes from the peer against all four SASL parsers. First byte: which one. Oracles: PLAIN writes back what it read; what the server
 * accepts as client-first, a client would have written; a right proof never comes out of noise. */
#include "proto/sasl/sasl.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void try_plain(struct slice message)
{
    struct sasl_plain plain;
    if (sasl_plain_parse(message, &plain))
        return;
    struct buf again;
    buf_init(&again, 0);
    sasl_plain_write(&plain, &again);
    assert(slice_eq(buf_slice(&again), message));
    buf_done(&again);
}

static void try_server(struct slice message, bool plus)
{
    static const struct scram_secret secret = { .iterations = SCRAM_ITERATIONS };
    /* first and final message stand apart by a newline, which neither may hold */
    struct slice rest = message, first;
    if (!slice_cut(&rest, '\n', &first))
        return;
    struct scram_server s;
    struct buf out;
    buf_init(&out, 0);
    scram_server_init(&s, plus, plus);
    if (!scram_server_first(&s, first, "SERVER")) {
        struct scram_client c;
        struct buf again;
        buf_init(&again, 0);
        scram_client_init(&c);
        assert(buf_len(&s.user) > 0);
        if (!scram_client_first(
                &c, buf_slice(&s.user), buf_slice(&s.binding_name), false, "n", &again)) {
            struct scram_server t;
            scram_server_init(&t, plus, plus);
            enum err e = scram_server_first(&t, buf_slice(&again), "SERVER");
            assert(!e);
            assert(slice_eq(buf_slice(&t.user), buf_slice(&s.user)));
            scram_server_done(&t);
        }
        scram_client_done(&c);
        buf_done(&again);
        scram_server_challenge(&s, &secret, &out);
        buf_clear(&out);
        enum err e = scram_server_final(&s, &secret, rest, SLICE("binding"), &out);
        assert(e);
        assert(buf_len(&out) == 0);
    }
    scram_server_done(&s);
    buf_done(&out);
}

static void try_client(struct slice message)
{
    struct slice rest = message, first;
    if (!slice_cut(&rest, '\n', &first))
        return;
    /* many rounds of PBKDF2 are right, and slow */
    if (slice_find(first, SLICE(",i=4096")) == SIZE_MAX)
        return;
    struct scram_client c;
    struct buf out;
    buf_init(&out, 0);
    scram_client_init(&c);
    enum err e = scram_client_first(&c, SLICE("u"), SLICE_EMPTY, false, "n", &out);
    assert(!e);
    if (!scram_client_final(&c, first, SLICE("p"), SLICE_EMPTY, &out))
        (void)!scram_client_verify(&c, rest);
    scram_client_done(&c);
    buf_done(&out);
}

static void try_opaque(struct slice message)
{
    struct buf once, twice;
    buf_init(&once, 0);
    buf_init(&twice, 0);
    if (!sasl_opaque_string(message, &once)) {
        enum err e = sasl_opaque_string(buf_slice(&once), &twice);
        assert(!e);
        assert(slice_eq(buf_slice(&once), buf_slice(&twice)));
    }
    sasl_buf_wipe(&once);
    sasl_buf_wipe(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    struct slice message = slice_from(bytes + 1, len - 1);
    switch (bytes[0] % 5) {
    case 0:
        try_plain(message);
        break;
    case 1:
        try_server(message, false);
        break;
    case 2:
        try_server(message, true);
        break;
    case 3:
        try_client(message);
        break;
    default:
        try_opaque(message);
    }
    return 0;
}
