/* The server's half of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS.
 *
 * A failure sets scram->error to the server-error-value of RFC 5802 §7. It is for the log: the exchange ends with the
 * protocol's own refusal, which saves a round and is what RFC 5802 §5.1 allows ("e" is optional). */
#include "base/encode.h"
#include "proto/sasl/scram_int.h"

#include <assert.h>
#include <string.h>

void scram_server_init(struct scram_server *scram, bool plus, bool plus_offered)
{
    *scram = (struct scram_server){ .plus = plus, .plus_offered = plus_offered };
    buf_init(&scram->client_first_bare, 0);
    buf_init(&scram->server_first, 0);
    buf_init(&scram->gs2_header, 0);
    buf_init(&scram->user, 0);
    buf_init(&scram->binding_name, 0);
    buf_init(&scram->authzid, 0);
}

void scram_server_done(struct scram_server *scram)
{
    if (!scram)
        return;
    buf_done(&scram->client_first_bare);
    buf_done(&scram->server_first);
    buf_done(&scram->gs2_header);
    buf_done(&scram->user);
    buf_done(&scram->binding_name);
    buf_done(&scram->authzid);
}

static enum err fail(struct scram_server *scram, enum err e, const char *error)
{
    scram->error = error;
    return e;
}

/* cb-name = 1*(ALPHA / DIGIT / "." / "-"), RFC 5802 §7 */
static bool is_binding_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = ascii_lower(name.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '-')
            return false;
    }
    return name.len > 0 && name.len <= 64;
}

/* gs2-header = gs2-cbind-flag "," [ authzid ] ","; the rules of the flag are RFC 5802 §6. */
static enum err parse_gs2_header(struct scram_server *scram, struct slice *rest)
{
    struct slice whole = *rest, flag, authzid;
    size_t first = slice_index(whole, ',');
    size_t second = first < whole.len
                        ? first + 1 + slice_index(slice_from_index(whole, first + 1), ',')
                        : whole.len;
    if (second >= whole.len)
        return fail(scram, ERR_SYNTAX, "other-error");
    flag = slice_sub(whole, 0, first);
    authzid = slice_sub(whole, first + 1, second - first - 1);

    bool bound = slice_starts(flag, SLICE("p="));
    bool could = slice_eq(flag, SLICE("y"));
    if (!bound && !could && !slice_eq(flag, SLICE("n")))
        return fail(scram, ERR_SYNTAX, "other-error");
    if (bound && !is_binding_name(slice_from_index(flag, 2)))
        return fail(scram, ERR_SYNTAX, "unsupported-channel-binding-type");
    if (authzid.len > 0) {
        if (!slice_starts(authzid, SLICE("a=")))
            return fail(scram, ERR_SYNTAX, "other-error");
        enum err e = scram_name_parse(slice_from_index(authzid, 2), &scram->authzid);
        if (e)
            return fail(scram, e, "invalid-username-encoding");
    }
    if (could && scram->plus_offered)
        return fail(scram, ERR_AUTH, "server-does-support-channel-binding");
    if (bound != scram->plus)
        return fail(scram, ERR_AUTH,
            bound ? "channel-binding-not-supported" : "channel-bindings-dont-match");
    if (bound)
        buf_add(&scram->binding_name, slice_from_index(flag, 2));
    buf_add(&scram->gs2_header, slice_sub(whole, 0, second + 1));
    *rest = slice_from_index(whole, second + 1);
    return ERR_OK;
}

enum err scram_server_first(
    struct scram_server *scram, struct slice client_first, const char *server_nonce)
{
    assert(strlen(server_nonce) < 64);
    struct slice rest = client_first, user, nonce;
    TRY(parse_gs2_header(scram, &rest));
    buf_add(&scram->client_first_bare, rest);
    if (slice_starts(rest, SLICE("m=")))
        return fail(scram, ERR_SYNTAX, "extensions-not-supported");
    bool more = false;
    if (scram_attr(&rest, 'n', &user, &more) || !more)
        return fail(scram, ERR_SYNTAX, "other-error");
    enum err e = scram_name_parse(user, &scram->user);
    if (e)
        return fail(scram, e, "invalid-username-encoding");
    if (scram_attr(&rest, 'r', &nonce, &more) || !scram_is_nonce(nonce))
        return fail(scram, ERR_SYNTAX, "other-error");
    if (nonce.len > SCRAM_NONCE_BYTES_MAX)
        return fail(scram, ERR_LIMIT, "no-resources");
    if (more && scram_extensions(rest))
        return fail(scram, ERR_SYNTAX, "extensions-not-supported");
    memcpy(scram->nonce, nonce.ptr, nonce.len);
    memcpy(scram->nonce + nonce.len, server_nonce, strlen(server_nonce) + 1);
    return ERR_OK;
}

void scram_server_challenge(
    struct scram_server *scram, const struct scram_secret *secret, struct buf *out)
{
    struct buf *first = &scram->server_first;
    buf_clear(first);
    buf_adds(first, "r=");
    buf_adds(first, scram->nonce);
    buf_adds(first, ",s=");
    base64_encode(first, slice_from(secret->salt, SCRAM_SALT_BYTES));
    buf_addf(first, ",i=%u", secret->iterations);
    buf_add(out, buf_slice(first));
}

struct client_final {
    struct slice binding, nonce, proof; /* the first and last in base64 */
    struct slice without_proof;
};

/* client-final-message = channel-binding "," nonce ["," extensions] "," proof. The proof is last: base64 holds no comma. */
static enum err parse_client_final(struct slice message, struct client_final *out_final)
{
    struct client_final f = { 0 };
    struct slice rest = message;
    bool more = false;
    TRY(scram_attr(&rest, 'c', &f.binding, &more));
    if (!more)
        return ERR_SYNTAX;
    TRY(scram_attr(&rest, 'r', &f.nonce, &more));
    if (!more)
        return ERR_SYNTAX;
    size_t last = rest.len;
    while (last > 0 && rest.ptr[last - 1] != ',')
        last--;
    if (last > 0)
        TRY(scram_extensions(slice_sub(rest, 0, last - 1)));
    struct slice proof = slice_from_index(rest, last);
    f.without_proof = slice_sub(message, 0, message.len - proof.len - 1);
    TRY(scram_attr(&proof, 'p', &f.proof, &more));
    *out_final = f;
    return ERR_OK;
}

/* "c=" must be exactly what the first message and this connection make of it. */
static bool binding_fits(
    const struct scram_server *scram, struct slice sent, struct slice channel_binding)
{
    struct buf input, text;
    buf_init(&input, 0);
    buf_init(&text, 0);
    buf_add(&input, buf_slice(&scram->gs2_header));
    if (scram->plus)
        buf_add(&input, channel_binding);
    base64_encode(&text, buf_slice(&input));
    bool fits = slice_eq(buf_slice(&text), sent);
    buf_done(&input);
    buf_done(&text);
    return fits;
}

static void write_auth_message(
    const struct scram_server *scram, const struct client_final *final, struct buf *out)
{
    buf_add(out, buf_slice(&scram->client_first_bare));
    buf_addc(out, ',');
    buf_add(out, buf_slice(&scram->server_first));
    buf_addc(out, ',');
    buf_add(out, final->without_proof);
}

/* Whether the proof belongs to the keys. RFC 5802 §3. */
static bool proof_fits(const struct scram_keys *keys, struct slice auth_message,
    const unsigned char proof[SCRAM_KEY_BYTES])
{
    unsigned char key[SCRAM_KEY_BYTES], stored[SCRAM_KEY_BYTES];
    scram_hmac(keys->stored, auth_message, key);
    scram_xor(key, proof); /* now ClientKey */
    scram_hash(key, stored);
    bool fits = scram_key_eq(stored, keys->stored);
    explicit_bzero(key, sizeof key);
    return fits;
}

static enum err decode_proof(struct slice text, unsigned char out[SCRAM_KEY_BYTES])
{
    struct buf proof;
    buf_init(&proof, SCRAM_KEY_BYTES + 3);
    enum err e = base64_decode(&proof, text);
    if (!e && (buf_err(&proof) || buf_len(&proof) != SCRAM_KEY_BYTES))
        e = ERR_SYNTAX;
    if (!e)
        memcpy(out, buf_slice(&proof).ptr, SCRAM_KEY_BYTES);
    buf_done(&proof);
    return e;
}

enum err scram_server_final_any(struct scram_server *scram, const struct scram_keys *keys,
    size_t count, struct slice client_final, struct slice channel_binding, struct buf *out,
    size_t *out_which)
{
    struct client_final final;
    unsigned char proof[SCRAM_KEY_BYTES], signature[SCRAM_KEY_BYTES];
    enum err e = parse_client_final(client_final, &final);
    if (e)
        return fail(scram, e, "other-error");
    if (decode_proof(final.proof, proof))
        return fail(scram, ERR_SYNTAX, "invalid-encoding");
    if (!slice_eq(final.nonce, slice_of(scram->nonce)))
        return fail(scram, ERR_AUTH, "other-error");
    if (!binding_fits(scram, final.binding, channel_binding))
        return fail(scram, ERR_AUTH, "channel-bindings-dont-match");
    struct buf auth_message;
    buf_init(&auth_message, 0);
    write_auth_message(scram, &final, &auth_message);
    size_t which = SIZE_MAX;
    for (size_t i = 0; i < count; i++) /* all of them, whichever fits */
        if (proof_fits(&keys[i], buf_slice(&auth_message), proof))
            which = i;
    if (which < count)
        scram_hmac(keys[which].server, buf_slice(&auth_message), signature);
    buf_done(&auth_message);
    if (which >= count)
        return fail(scram, ERR_AUTH, "invalid-proof");
    buf_adds(out, "v=");
    base64_encode(out, slice_from(signature, sizeof signature));
    *out_which = which;
    return ERR_OK;
}

enum err scram_server_final(struct scram_server *scram, const struct scram_secret *secret,
    struct slice client_final, struct slice channel_binding, struct buf *out)
{
    struct scram_keys keys;
    size_t which;
    memcpy(keys.stored, secret->stored_key, sizeof keys.stored);
    memcpy(keys.server, secret->server_key, sizeof keys.server);
    enum err e =
        scram_server_final_any(scram, &keys, 1, client_final, channel_binding, out, &which);
    explicit_bzero(&keys, sizeof keys);
    return e;
}
