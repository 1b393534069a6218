/* One TLS connection over a non-blocking descriptor. Knows no epoll and no session: the caller waits.
 *
 * OpenSSL's error queue belongs to the thread, not to the connection; it is cleared before each call, or an error
 * of another connection would be taken for ours. */
#include "net/tls_int.h"

#include "base/arena.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#define TLS_RECORD_BYTES_MAX 16384u /* RFC 8446 §5.1 */

struct tls_conn {
    SSL *ssl; /* owned */
    bool ready;
    bool broken; /* after a fatal error nothing may be sent, not even close_notify */
    char text[54];
};

struct tls_conn *tls_conn_new(struct tls_server *tls, int fd, const char *protocol)
{
    struct tls_conn *conn = mem_zalloc(1, sizeof *conn);
    ERR_clear_error();
    conn->ssl = SSL_new(tls_server_context(tls));
    if (!conn->ssl || SSL_set_fd(conn->ssl, fd) != 1)
        abort(); /* out of memory; nothing else fails here */
    /* Read by on_alpn, which only reads. */
    SSL_set_app_data(conn->ssl, (char *)(uintptr_t)protocol);
    SSL_set_accept_state(conn->ssl);
    return conn;
}

void tls_conn_free(struct tls_conn *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    ERR_clear_error();
    free(tls);
}

bool tls_conn_ready(const struct tls_conn *tls)
{
    return tls->ready;
}

enum err tls_conn_handshake(struct tls_conn *tls, bool *out_want_write, struct err_note *note)
{
    ERR_clear_error();
    int done = SSL_do_handshake(tls->ssl);
    if (done == 1) {
        tls->ready = true;
        snprintf(tls->text, sizeof tls->text, "%s %s", SSL_get_version(tls->ssl),
            SSL_get_cipher_name(tls->ssl));
        return ERR_OK;
    }
    int why = SSL_get_error(tls->ssl, done);
    *out_want_write = why == SSL_ERROR_WANT_WRITE;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return ERR_BUSY;
    char text[128];
    tls->broken = true;
    return err_noted(note, ERR_CLOSED, "%s", tls_error_text(text, sizeof text));
}

enum err tls_conn_read(
    struct tls_conn *tls, void *to, size_t len, size_t *out_len, bool *out_want_write)
{
    ERR_clear_error();
    *out_want_write = false;
    int done = SSL_read_ex(tls->ssl, to, len, out_len);
    if (done == 1)
        return ERR_OK;
    int why = SSL_get_error(tls->ssl, done);
    *out_want_write = why == SSL_ERROR_WANT_WRITE;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return ERR_BUSY;
    if (why != SSL_ERROR_ZERO_RETURN)
        tls->broken = true;
    ERR_clear_error();
    return ERR_CLOSED;
}

enum err tls_conn_write(
    struct tls_conn *tls, struct slice bytes, size_t *out_len, bool *out_want_read)
{
    if (tls->broken)
        return ERR_CLOSED;
    ERR_clear_error();
    size_t len = bytes.len < TLS_RECORD_BYTES_MAX ? bytes.len : TLS_RECORD_BYTES_MAX;
    int done = SSL_write_ex(tls->ssl, bytes.ptr, len, out_len);
    if (done == 1)
        return ERR_OK;
    int why = SSL_get_error(tls->ssl, done);
    *out_want_read = why == SSL_ERROR_WANT_READ;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return ERR_BUSY;
    tls->broken = true;
    ERR_clear_error();
    return ERR_CLOSED;
}

bool tls_conn_pending(const struct tls_conn *tls)
{
    return tls->ready && SSL_has_pending(tls->ssl) == 1;
}

void tls_conn_goodbye(struct tls_conn *tls)
{
    if (!tls->ready || tls->broken)
        return;
    ERR_clear_error();
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

const char *tls_conn_text(const struct tls_conn *tls)
{
    return tls->text;
}

/* RFC 5929 §4.1: the certificate hashed with the hash of its signature, but never with less than SHA-256. */
static enum err end_point_binding(X509 *certificate, struct buf *out)
{
    int hash = NID_undef;
    if (!certificate || X509_get_signature_info(certificate, &hash, NULL, NULL, NULL) != 1)
        return ERR_NOT_FOUND;
    if (hash == NID_undef) /* Ed25519 and its like: "tls-server-end-point is undefined" */
        return ERR_NOT_FOUND;
    if (!out)
        return ERR_OK;
    const EVP_MD *digest =
        hash == NID_md5 || hash == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(hash);
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!digest || X509_digest(certificate, digest, value, &len) != 1)
        return ERR_NOT_FOUND;
    buf_add(out, slice_from(value, len));
    return buf_err(out);
}

/* RFC 9266 §2. */
static enum err exporter_binding(SSL *ssl, struct buf *out)
{
    static const char label[] = "EXPORTER-Channel-Binding";
    unsigned char value[32];
    if (SSL_version(ssl) != TLS1_3_VERSION)
        return ERR_NOT_FOUND;
    if (!out) /* every greeting asks: the value costs as much as a fortieth of the handshake */
        return ERR_OK;
    if (SSL_export_keying_material(ssl, value, sizeof value, label, sizeof label - 1,
            (const unsigned char *)"", 0, 1) != 1)
        return ERR_NOT_FOUND;
    buf_add(out, slice_from(value, sizeof value));
    return buf_err(out);
}

enum err tls_binding(SSL *ssl, X509 *certificate, struct slice kind, struct buf *out)
{
    enum err e = ERR_NOT_FOUND;
    if (slice_eq(kind, SLICE("tls-exporter")))
        e = exporter_binding(ssl, out);
    else if (slice_eq(kind, SLICE("tls-server-end-point")))
        e = end_point_binding(certificate, out);
    ERR_clear_error();
    return e;
}

enum err tls_conn_binding(struct tls_conn *tls, struct slice kind, struct buf *out)
{
    return tls_binding(tls->ssl, SSL_get_certificate(tls->ssl), kind, out);
}
