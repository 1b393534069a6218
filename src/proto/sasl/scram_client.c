/* The client's half of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS. auth_message grows as the messages come: client-first-bare, then
 * server-first, then client-final-without-proof (RFC 5802 §3). */
#include "base/encode.h"
#include "base/utf8.h"
#include "proto/sasl/scram_int.h"

#include <string.h>

void scram_client_init(struct scram_client *scram)
{
    *scram = (struct scram_client){ 0 };
    buf_init(&scram->client_first_bare, 0);
    buf_init(&scram->gs2_header, 0);
    buf_init(&scram->auth_message, 0);
}

void scram_client_done(struct scram_client *scram)
{
    if (!scram)
        return;
    buf_done(&scram->client_first_bare);
    buf_done(&scram->gs2_header);
    buf_done(&scram->auth_message);
    explicit_bzero(scram->server_key, sizeof scram->server_key);
}

enum err scram_client_first(struct scram_client *scram, struct slice user,
    struct slice binding_name, bool could_bind, const char *client_nonce, struct buf *out)
{
    struct slice nonce = slice_of(client_nonce);
    if (!scram_is_nonce(nonce) || user.len == 0 || !utf8_valid(user) ||
        slice_index(user, '\0') < user.len)
        return ERR_SYNTAX;
    if (nonce.len >= SCRAM_NONCE_BYTES_MAX || user.len > USER_NAME_BYTES_MAX)
        return ERR_LIMIT;
    memcpy(scram->nonce, nonce.ptr, nonce.len + 1);
    if (binding_name.len > 0) {
        buf_adds(&scram->gs2_header, "p=");
        buf_add(&scram->gs2_header, binding_name);
    } else {
        buf_addc(&scram->gs2_header, could_bind ? 'y' : 'n');
    }
    buf_adds(&scram->gs2_header, ",,");
    buf_adds(&scram->client_first_bare, "n=");
    scram_name_write(user, &scram->client_first_bare);
    buf_adds(&scram->client_first_bare, ",r=");
    buf_add(&scram->client_first_bare, nonce);
    buf_add(out, buf_slice(&scram->gs2_header));
    buf_add(out, buf_slice(&scram->client_first_bare));
    return buf_err(out);
}

struct server_first {
    struct slice nonce, salt; /* salt in base64 */
    unsigned iterations;
};

/* server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions] */
static enum err parse_server_first(struct slice message, struct server_first *out_first)
{
    struct server_first f = { 0 };
    struct slice rest = message, count;
    uint64_t iterations = 0;
    bool more = false;
    TRY(scram_attr(&rest, 'r', &f.nonce, &more));
    if (!more || !scram_is_nonce(f.nonce))
        return ERR_SYNTAX;
    TRY(scram_attr(&rest, 's', &f.salt, &more));
    if (!more || f.salt.len == 0)
        return ERR_SYNTAX;
    TRY(scram_attr(&rest, 'i', &count, &more));
    TRY(slice_to_u64(count, SCRAM_ITERATIONS_MAX, &iterations));
    if (count.ptr[0] == '0')
        return ERR_SYNTAX;
    if (more)
        TRY(scram_extensions(rest));
    if (iterations < SCRAM_ITERATIONS)
        return ERR_LIMIT;
    f.iterations = (unsigned)iterations;
    *out_first = f;
    return ERR_OK;
}

/* client-final-message-without-proof */
static void write_without_proof(const struct scram_client *scram, struct slice nonce,
    struct slice channel_binding, struct buf *out)
{
    struct buf input;
    buf_init(&input, 0);
    buf_add(&input, buf_slice(&scram->gs2_header));
    buf_add(&input, channel_binding);
    buf_adds(out, "c=");
    base64_encode(out, buf_slice(&input));
    buf_adds(out, ",r=");
    buf_add(out, nonce);
    buf_done(&input);
}

enum err scram_client_final(struct scram_client *scram, struct slice server_first,
    struct slice password, struct slice channel_binding, struct buf *out)
{
    struct server_first first;
    TRY(parse_server_first(server_first, &first));
    struct slice ours = slice_of(scram->nonce);
    if (!slice_starts(first.nonce, ours) || first.nonce.len == ours.len)
        return ERR_AUTH;
    struct buf salt, message;
    buf_init(&salt, SASL_TOKEN_BYTES_MAX);
    unsigned char key[SCRAM_KEY_BYTES], salted[SCRAM_KEY_BYTES], stored[SCRAM_KEY_BYTES],
        proof[SCRAM_KEY_BYTES];
    enum err e = base64_decode(&salt, first.salt);
    if (!e)
        e = buf_err(&salt);
    if (!e)
        e = scram_salted_password(password, buf_slice(&salt), first.iterations, salted);
    buf_done(&salt);
    if (e)
        return e;
    buf_init(&message, 0);
    write_without_proof(scram, first.nonce, channel_binding, &message);
    buf_add(&scram->auth_message, buf_slice(&scram->client_first_bare));
    buf_addc(&scram->auth_message, ',');
    buf_add(&scram->auth_message, server_first);
    buf_addc(&scram->auth_message, ',');
    buf_add(&scram->auth_message, buf_slice(&message));

    scram_hmac(salted, SLICE("Client Key"), key);
    scram_hash(key, stored);
    scram_hmac(stored, buf_slice(&scram->auth_message), proof);
    scram_xor(proof, key);
    scram_hmac(salted, SLICE("Server Key"), scram->server_key);
    buf_add(out, buf_slice(&message));
    buf_adds(out, ",p=");
    base64_encode(out, slice_from(proof, sizeof proof));
    buf_done(&message);
    explicit_bzero(salted, sizeof salted);
    explicit_bzero(key, sizeof key);
    explicit_bzero(stored, sizeof stored);
    return buf_err(out);
}

enum err scram_client_verify(struct scram_client *scram, struct slice server_final)
{
    if (slice_starts(server_final, SLICE("e=")))
        return ERR_AUTH;
    struct slice rest = server_final, value;
    bool more = false;
    TRY(scram_attr(&rest, 'v', &value, &more));
    if (more)
        TRY(scram_extensions(rest));
    unsigned char wanted[SCRAM_KEY_BYTES];
    scram_hmac(scram->server_key, buf_slice(&scram->auth_message), wanted);
    struct buf got;
    buf_init(&got, SCRAM_KEY_BYTES + 3);
    enum err e = base64_decode(&got, value);
    if (e || buf_err(&got) || buf_len(&got) != SCRAM_KEY_BYTES)
        e = ERR_SYNTAX;
    else if (!scram_key_eq((const unsigned char *)buf_slice(&got).ptr, wanted))
        e = ERR_AUTH;
    buf_done(&got);
    return e;
}
