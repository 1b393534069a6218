/* Server certificates and what every TLS server of ours allows: TLS 1.2 with forward secrecy and AEAD, TLS 1.3, no renegotiation,
 * no compression, no early data; tickets whose keys outlive a reload of the certificate; ALPN (RFC 7301) that refuses to be
 * taken for a web server (ALPACA). */
#include "net/tls_int.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/rand.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TICKET_KEY_MS                                                                              \
    (12ll * 60 * 60 * 1000) /* a key makes tickets this long, and reads them as long again */
#define TICKET_LIFETIME_S (12l * 60 * 60)

/* RFC 5077 §4 by way of OpenSSL: name, AES-256 key, HMAC key. */
struct ticket_key {
    unsigned char name[16], aes[32], hmac[32];
    int64_t made_ms;
};

struct tls_tickets {
    _Atomic unsigned refs;
    pthread_mutex_t lock;
    struct ticket_key current, previous;
};

struct tls_server {
    _Atomic unsigned refs;
    SSL_CTX *context;            /* owned */
    struct tls_tickets *tickets; /* shared, ref */
};

void net_ignore_sigpipe(void)
{
    struct sigaction old;
    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

const char *tls_error_text(char *text, size_t len)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    snprintf(text, len, "%s", reason ? reason : "the peer went away");
    ERR_clear_error();
    return text;
}

/* ---- tickets ---- */

static void ticket_key_make(struct ticket_key *key)
{
    rand_bytes(key->name, sizeof key->name);
    rand_bytes(key->aes, sizeof key->aes);
    rand_bytes(key->hmac, sizeof key->hmac);
    key->made_ms = clock_mono_ms();
}

struct tls_tickets *tls_tickets_new(void)
{
    struct tls_tickets *tickets = mem_zalloc(1, sizeof *tickets);
    atomic_store(&tickets->refs, 1);
    pthread_mutex_init(&tickets->lock, NULL);
    ticket_key_make(&tickets->current);
    ticket_key_make(&tickets->previous);
    return tickets;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets)
{
    atomic_fetch_add(&tickets->refs, 1);
    return tickets;
}

void tls_tickets_unref(struct tls_tickets *tickets)
{
    if (!tickets || atomic_fetch_sub(&tickets->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&tickets->lock);
    OPENSSL_cleanse(tickets, sizeof *tickets);
    free(tickets);
}

static struct ticket_key ticket_key_current(struct tls_tickets *tickets)
{
    pthread_mutex_lock(&tickets->lock);
    if (clock_mono_ms() - tickets->current.made_ms > TICKET_KEY_MS) {
        tickets->previous = tickets->current;
        ticket_key_make(&tickets->current);
    }
    struct ticket_key key = tickets->current;
    pthread_mutex_unlock(&tickets->lock);
    return key;
}

/* 0: no such key; 1: found; 2: found, and the peer should get a new ticket. */
static int ticket_key_find(
    struct tls_tickets *tickets, const unsigned char *name, struct ticket_key *out_key)
{
    int found = 0;
    pthread_mutex_lock(&tickets->lock);
    if (memcmp(tickets->current.name, name, 16) == 0) {
        *out_key = tickets->current;
        found = 1;
    } else if (memcmp(tickets->previous.name, name, 16) == 0 &&
               clock_mono_ms() - tickets->previous.made_ms <= 2 * TICKET_KEY_MS) {
        *out_key = tickets->previous;
        found = 2;
    }
    pthread_mutex_unlock(&tickets->lock);
    return found;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int encrypt)
{
    struct tls_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct ticket_key key;
    int result = 1;
    if (encrypt) {
        key = ticket_key_current(tickets);
        memcpy(name, key.name, 16);
        rand_bytes(iv, 16);
    } else {
        result = ticket_key_find(tickets, name, &key);
        if (result == 0)
            return 0;
        if (SSL_version(ssl) == TLS1_3_VERSION)
            result = 2; /* a new one comes with it: a client uses a ticket once (RFC 8446 C.4) */
    }
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.hmac, sizeof key.hmac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    if (EVP_MAC_CTX_set_params(mac, params) != 1 ||
        EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.aes, iv, encrypt) != 1)
        result = -1;
    OPENSSL_cleanse(&key, sizeof key);
    return result;
}

void tls_server_use_tickets(struct tls_server *tls, struct tls_tickets *tickets)
{
    if (tls->tickets)
        return;
    tls->tickets = tls_tickets_ref(tickets);
    SSL_CTX_set_app_data(tls->context, tickets);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(tls->context, on_ticket);
}

/* ---- ALPN ---- */

/* The registered name (IANA "TLS ALPN Protocol IDs") of a listener's protocol; SMTP and LMTP have none. */
static struct slice alpn_of(const char *protocol)
{
    struct slice name = slice_of(protocol);
    if (slice_eq(name, SLICE("imap")) || slice_eq(name, SLICE("pop3")))
        return name;
    return SLICE_EMPTY;
}

/* A protocol that is certainly not ours: its client was led here by somebody in the middle. */
static bool alpn_foreign(struct slice offer)
{
    return slice_starts(offer, SLICE("http/")) || slice_eq(offer, SLICE("h2")) ||
           slice_eq(offer, SLICE("h2c")) || slice_eq(offer, SLICE("h3")) ||
           slice_starts(offer, SLICE("spdy/")) || slice_eq(offer, SLICE("ftp")) ||
           slice_starts(offer, SLICE("xmpp-")) || slice_eq(offer, SLICE("imap")) ||
           slice_eq(offer, SLICE("pop3"));
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *offers, unsigned offers_len, void *unused)
{
    (void)unused;
    struct slice own = alpn_of(SSL_get_app_data(ssl));
    bool all_foreign = true;
    for (unsigned at = 0; at < offers_len;) {
        struct slice offer = slice_from(offers + at + 1, offers[at]);
        if (own.len && slice_eq(offer, own)) {
            *out = offers + at + 1;
            *out_len = offers[at];
            return SSL_TLSEXT_ERR_OK;
        }
        all_foreign = all_foreign && alpn_foreign(offer);
        at += 1u + offers[at];
    }
    if (own.len || all_foreign)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_NOACK;
}

/* ---- loading ---- */

/* An encrypted key must give an error, not a question on the terminal. */
static int no_passphrase(char *to, int len, int writing, void *unused)
{
    (void)to;
    (void)len;
    (void)writing;
    (void)unused;
    return -1;
}

static SSL_CTX *context_new(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1); /* one read(2) for a record instead of two */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets alone: no memory here */
    SSL_CTX_set_timeout(context, TICKET_LIFETIME_S);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_max_early_data(context, 0); /* a replayed command is a second command */
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
    static const unsigned char id[] = "barid";
    char groups[] = "X25519:P-256:P-384"; /* OpenSSL's macro casts const away */
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL") != 1 ||
        SSL_CTX_set1_groups_list(context, groups) != 1 ||
        SSL_CTX_set_session_id_context(context, id, sizeof id - 1) != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

static enum err open_file(
    const char *path, const char *what, BIO **out_bio, struct stat *out_stat, struct err_note *note)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
    if (fd < 0)
        return err_noted(note, err_from_errno(errno), "cannot read the %s %s: %s", err_in(what),
            path, strerror(errno));
    if (fstat(fd, out_stat) < 0 || !S_ISREG(out_stat->st_mode))
        return err_noted(note, ERR_SYNTAX, "the %s %s is not a file", err_in(what), path);
    FILE *file = fdopen(fd, "r");
    if (!file)
        return err_noted(
            note, ERR_IO, "cannot read the %s %s: %s", err_in(what), path, strerror(errno));
    fd = -1;
    *out_bio = BIO_new_fp(file, BIO_CLOSE);
    assert(*out_bio);
    return ERR_OK;
}

static enum err load_chain(SSL_CTX *context, const char *path, struct err_note *note)
{
    BIO *bio;
    struct stat st;
    char text[128];
    TRY(open_file(path, "certificate", &bio, &st, note));
    X509 *leaf = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
    bool ok = leaf && SSL_CTX_use_certificate(context, leaf) == 1;
    X509_free(leaf);
    while (ok) {
        X509 *next = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
        if (!next) {
            ok = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE; /* the end */
            if (ok)
                ERR_clear_error();
            break;
        }
        ok = SSL_CTX_add0_chain_cert(context, next) == 1;
        if (!ok)
            X509_free(next);
    }
    BIO_free(bio);
    if (!ok)
        return err_noted(note, ERR_SYNTAX, "%s holds no usable certificate in PEM form: %s", path,
            tls_error_text(text, sizeof text));
    return ERR_OK;
}

static enum err load_key(SSL_CTX *context, const char *path, struct err_note *note)
{
    BIO *bio;
    struct stat st;
    char text[128];
    TRY(open_file(path, "key", &bio, &st, note));
    if (st.st_mode & (S_IWGRP | S_IWOTH | S_IROTH)) {
        BIO_free(bio);
        return err_noted(note, ERR_DENIED,
            "the key %s has mode %04o: others can read it or change it; chmod 0600 (or 0640) it",
            path, (unsigned)st.st_mode & 07777u);
    }
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (!key)
        return err_noted(note, ERR_SYNTAX,
            "%s holds no private key in PEM form without a passphrase: %s", path,
            tls_error_text(text, sizeof text));
    bool ok = SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
    EVP_PKEY_free(key);
    if (!ok)
        return err_noted(note, ERR_SYNTAX, "the key %s does not belong to the certificate: %s",
            path, tls_error_text(text, sizeof text));
    return ERR_OK;
}

enum err tls_server_load(
    const char *cert_file, const char *key_file, struct tls_server **out_tls, struct err_note *note)
{
    ERR_clear_error();
    SSL_CTX *context = context_new();
    if (!context) {
        char text[128];
        return err_noted(note, ERR_IO, "OpenSSL: %s", tls_error_text(text, sizeof text));
    }
    enum err e = load_chain(context, cert_file, note);
    if (e == ERR_OK)
        e = load_key(context, key_file, note);
    if (e != ERR_OK) {
        SSL_CTX_free(context);
        return e;
    }
    struct tls_server *tls = mem_zalloc(1, sizeof *tls);
    atomic_store(&tls->refs, 1);
    tls->context = context;
    *out_tls = tls;
    return ERR_OK;
}

struct tls_server *tls_server_ref(struct tls_server *tls)
{
    atomic_fetch_add(&tls->refs, 1);
    return tls;
}

void tls_server_unref(struct tls_server *tls)
{
    if (!tls || atomic_fetch_sub(&tls->refs, 1) != 1)
        return;
    SSL_CTX_free(tls->context);
    tls_tickets_unref(tls->tickets);
    free(tls);
}

struct ssl_ctx_st *tls_server_context(struct tls_server *tls)
{
    return tls->context;
}
