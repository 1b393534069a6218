/* The blocking client: a non-blocking descriptor and poll, so that every call has an end. */
#include "net/dial.h"

#include "base/arena.h"
#include "base/clock.h"
#include "net/deflate.h"
#include "net/tls_int.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DIAL_LINE_BYTES_MAX (64u << 10)
#define DIAL_READ_BYTES     65536u
/* How much is received while sending: more than a peer can say to commands that it has been sent so far, or it is hostile. */
#define DIAL_AHEAD_BYTES_MAX (16u << 20)

struct dial {
    int fd;
    int timeout_ms;
    int64_t end_ms;  /* clock_mono_ms; nothing goes on after it. 0: no such end */
    char *host;      /* owned */
    char *ca_file;   /* owned; NULL: the system's roots */
    SSL *ssl;        /* owned; NULL without TLS */
    bool verified;   /* the certificate was checked */
    bool distrusted; /* the handshake ended because of it */
    bool local;      /* loopback or a Unix socket */
    struct buf in;
    struct deflate_pair *deflate; /* owned; NULL: nothing is compressed */
    struct buf packed;            /* compressed, and not looked at yet */
    size_t line_bytes;            /* of the line handed out last; consumed by the next call */
    /* What later calls return. Kept apart: a peer that refuses to listen may have said why. */
    enum err send_broken, receive_broken;
};

/* When what begins now has to be over, or to have got on. */
static int64_t call_until_ms(const struct dial *dial, int timeout_ms)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    return dial->end_ms && dial->end_ms < until_ms ? dial->end_ms : until_ms;
}

/* Also for a peer that leaves nothing to wait for. */
static bool is_over(const struct dial *dial)
{
    return dial->end_ms && clock_mono_ms() >= dial->end_ms;
}

static enum err wait_ready(struct dial *dial, short events, int64_t until_ms)
{
    struct pollfd wait = { .fd = dial->fd, .events = events };
    for (;;) {
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0)
            return ERR_TIMEOUT;
        int ready = poll(&wait, 1, (int)left_ms);
        if (ready > 0)
            return ERR_OK;
        if (ready < 0 && errno != EINTR)
            return ERR_IO;
    }
}

/* ---- connecting ---- */

static bool is_local(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, address, sizeof four);
        return ntohl(four.sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, address, sizeof six);
        return IN6_IS_ADDR_LOOPBACK(&six.sin6_addr);
    }
    return address->sa_family == AF_UNIX;
}

static enum err connect_to(
    struct dial *dial, const struct sockaddr *address, socklen_t len, int64_t until_ms)
{
    dial->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0)
        return err_from_errno(errno);
    enum err e = ERR_OK;
    if (connect(dial->fd, address, len) < 0) {
        int failed = errno;
        socklen_t size = sizeof failed;
        if (failed == EINPROGRESS) {
            failed = 0;
            e = wait_ready(dial, POLLOUT, until_ms);
            if (e == ERR_OK && getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &failed, &size) < 0)
                failed = errno;
        }
        if (e == ERR_OK && failed)
            e = failed == ECONNREFUSED ? ERR_CLOSED : err_from_errno(failed);
    }
    if (e != ERR_OK) {
        close(dial->fd);
        dial->fd = -1;
        return e;
    }
    dial->local = is_local(address);
    int one = 1;
    if (address->sa_family != AF_UNIX)
        (void)setsockopt(dial->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return ERR_OK;
}

static enum err connect_path(struct dial *dial, const char *path, int64_t until_ms)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t len = strlen(path);
    if (len >= sizeof address.sun_path)
        return ERR_LIMIT;
    memcpy(address.sun_path, path, len + 1);
    return connect_to(dial, (const struct sockaddr *)&address, sizeof address, until_ms);
}

/* Every address of the name in the order of the resolver, the first that answers. */
static enum err connect_name(
    struct dial *dial, const char *host, int port, int64_t until_ms, struct err_note *note)
{
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(host, service, &hints, &found);
    if (failed)
        return err_noted(note, ERR_NOT_FOUND, "%s: %s", host, gai_strerror(failed));
    enum err e = ERR_NOT_FOUND;
    for (struct addrinfo *one = found; one; one = one->ai_next) {
        e = connect_to(dial, one->ai_addr, one->ai_addrlen, until_ms);
        if (e == ERR_OK || e == ERR_TIMEOUT)
            break;
    }
    freeaddrinfo(found);
    return e;
}

static enum err connect_address(struct dial *dial, const char *address, int port, int64_t until_ms)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return connect_to(dial, (const struct sockaddr *)&v4, sizeof v4, until_ms);
    if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1)
        return connect_to(dial, (const struct sockaddr *)&v6, sizeof v6, until_ms);
    return ERR_SYNTAX;
}

/* Each address gets its share of the time, so that one that drops packets leaves some for the next. */
static enum err connect_addresses(
    struct dial *dial, const char *const *addresses, size_t count, int port, int64_t until_ms)
{
    enum err e = ERR_NOT_FOUND;
    for (size_t i = 0; i < count; i++) {
        int64_t now_ms = clock_mono_ms();
        int64_t share_ms = (until_ms - now_ms) / (int64_t)(count - i);
        e = connect_address(dial, addresses[i], port, now_ms + share_ms);
        if (e == ERR_OK || now_ms >= until_ms)
            break;
    }
    return e;
}

/* ---- TLS ---- */

static bool is_address(const char *host)
{
    unsigned char binary[16];
    return inet_pton(AF_INET, host, binary) == 1 || inet_pton(AF_INET6, host, binary) == 1;
}

static bool expect_host(struct dial *dial)
{
    if (is_address(dial->host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(dial->ssl), dial->host) == 1;
    SSL_set_hostflags(dial->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(dial->ssl, dial->host) == 1;
}

static bool tls_prepare(struct dial *dial, enum dial_tls tls)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return false;
    bool ok = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1;
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (tls == DIAL_TLS) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        ok = ok && (dial->ca_file ? SSL_CTX_load_verify_file(context, dial->ca_file)
                                  : SSL_CTX_set_default_verify_paths(context)) == 1;
    }
    dial->ssl = ok ? SSL_new(context) : NULL;
    SSL_CTX_free(context);
    if (!dial->ssl)
        return false;
    ok = SSL_set_fd(dial->ssl, dial->fd) == 1 && (tls != DIAL_TLS || expect_host(dial));
    if (!is_address(dial->host) && dial->host[0] != '/') /* RFC 6066 §3: names only */
        ok = ok && SSL_set_tlsext_host_name(dial->ssl, dial->host) == 1;
    SSL_set_connect_state(dial->ssl);
    return ok;
}

/* After an SSL call that returned <= 0: waits, or tells why not. */
static enum err tls_wait(struct dial *dial, int result, int64_t until_ms)
{
    switch (SSL_get_error(dial->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_ready(dial, POLLIN, until_ms);
    case SSL_ERROR_WANT_WRITE:
        return wait_ready(dial, POLLOUT, until_ms);
    default:
        return ERR_CLOSED;
    }
}

static enum err tls_start(struct dial *dial, enum dial_tls tls, struct err_note *note)
{
    char text[128];
    ERR_clear_error();
    if (!tls_prepare(dial, tls))
        return err_noted(note, ERR_IO, "TLS cannot start: %s", tls_error_text(text, sizeof text));
    int64_t until_ms = call_until_ms(dial, dial->timeout_ms);
    for (;;) {
        ERR_clear_error();
        int done = SSL_do_handshake(dial->ssl);
        if (done == 1) {
            dial->verified = tls == DIAL_TLS;
            return ERR_OK;
        }
        enum err e = tls_wait(dial, done, until_ms);
        if (e == ERR_OK)
            continue;
        if (e == ERR_TIMEOUT)
            return err_noted(note, e, "the TLS handshake with %s took too long", dial->host);
        long verified = SSL_get_verify_result(dial->ssl);
        if (tls == DIAL_TLS && verified != X509_V_OK) {
            ERR_clear_error();
            dial->distrusted = true;
            return err_noted(note, ERR_DENIED, "the certificate of %s is not trusted: %s",
                dial->host, X509_verify_cert_error_string(verified));
        }
        return err_noted(note, e, "the TLS handshake with %s failed: %s", dial->host,
            tls_error_text(text, sizeof text));
    }
}

/* ---- life ---- */

static struct dial *dial_new(const char *host, const char *ca_file, int timeout_ms)
{
    struct dial *dial = mem_zalloc(1, sizeof *dial);
    net_ignore_sigpipe();
    dial->fd = -1;
    dial->timeout_ms = timeout_ms;
    dial->host = mem_strdup(host);
    dial->ca_file = ca_file ? mem_strdup(ca_file) : NULL;
    buf_init(&dial->in, 0);
    buf_init(&dial->packed, 0);
    return dial;
}

/* What both ways of opening do once the connection is there, or not (e). */
static enum err dial_opened(struct dial *dial, enum err e, int port, enum dial_tls tls,
    struct dial **out_dial, struct err_note *note)
{
    if (e != ERR_OK && note && !note->text[0])
        (void)err_noted(
            note, e, "cannot connect to %s port %d: %s", dial->host, port, err_words(e));
    if (e == ERR_OK && tls != DIAL_PLAIN)
        e = tls_start(dial, tls, note);
    if (e != ERR_OK) {
        dial_close(dial);
        return e;
    }
    *out_dial = dial;
    return ERR_OK;
}

enum err dial_open(const char *host, int port, enum dial_tls tls, const char *ca_file,
    int timeout_ms, struct dial **out_dial, struct err_note *note)
{
    struct dial *dial = dial_new(host, ca_file, timeout_ms);
    int64_t until_ms = call_until_ms(dial, timeout_ms);
    if (note)
        note->text[0] = '\0';
    enum err e = host[0] == '/' ? connect_path(dial, host, until_ms)
                                : connect_name(dial, host, port, until_ms, note);
    return dial_opened(dial, e, port, tls, out_dial, note);
}

enum err dial_open_at(const char *host, const char *const *addresses, size_t count, int port,
    enum dial_tls tls, const char *ca_file, int64_t end_ms, struct dial **out_dial,
    struct err_note *note)
{
    struct dial *dial = dial_new(host, ca_file, INT_MAX);
    dial->end_ms = end_ms;
    if (note)
        note->text[0] = '\0';
    enum err e = connect_addresses(dial, addresses, count, port, end_ms);
    return dial_opened(dial, e, port, tls, out_dial, note);
}

static void drop_last_line(struct dial *dial)
{
    buf_consume(&dial->in, dial->line_bytes);
    dial->line_bytes = 0;
}

enum err dial_starttls(struct dial *dial, enum dial_tls tls, struct err_note *note)
{
    assert(!dial->ssl);
    assert(tls != DIAL_PLAIN);
    drop_last_line(dial);
    char peeked;
    /* What the peer said before TLS could be somebody else's words (NO STARTTLS, response injection). */
    if (buf_len(&dial->in) || recv(dial->fd, &peeked, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
        dial->send_broken = dial->receive_broken = ERR_DENIED;
        return err_noted(
            note, ERR_DENIED, "%s sent more than its answer before TLS began", dial->host);
    }
    enum err e = tls_start(dial, tls, note);
    if (e != ERR_OK)
        dial->send_broken = dial->receive_broken = e;
    return e;
}

bool dial_distrusts(const struct dial *dial)
{
    return dial->distrusted;
}

void dial_close(struct dial *dial)
{
    if (!dial)
        return;
    if (dial->ssl) {
        ERR_clear_error();
        if (dial->send_broken == ERR_OK && dial->receive_broken == ERR_OK &&
            SSL_is_init_finished(dial->ssl))
            (void)SSL_shutdown(dial->ssl);
        SSL_free(dial->ssl);
        ERR_clear_error();
    }
    if (dial->fd >= 0)
        close(dial->fd);
    buf_done(&dial->in);
    buf_done(&dial->packed);
    deflate_close(dial->deflate);
    free(dial->host);
    free(dial->ca_file);
    free(dial);
}

enum err dial_deflate(struct dial *dial)
{
    assert(!dial->deflate);
    drop_last_line(dial);
    TRY(deflate_open(&dial->deflate));
    buf_add(&dial->packed, buf_slice(&dial->in));
    buf_clear(&dial->in);
    return ERR_OK;
}

/* ---- moving bytes ---- */

/* What comes now, without waiting. ERR_BUSY: nothing; *out_wait says for what to wait then. */
static enum err receive_bytes(struct dial *dial, struct buf *in, short *out_wait)
{
    *out_wait = POLLIN;
    char *to = buf_room(in, DIAL_READ_BYTES);
    assert(to);
    size_t got = 0;
    if (dial->ssl) {
        ERR_clear_error();
        int done = SSL_read_ex(dial->ssl, to, DIAL_READ_BYTES, &got);
        if (done != 1) {
            int why = SSL_get_error(dial->ssl, done);
            if (why == SSL_ERROR_WANT_WRITE)
                *out_wait = POLLOUT;
            return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? ERR_BUSY
                                                                             : ERR_CLOSED;
        }
    } else {
        ssize_t count = recv(dial->fd, to, DIAL_READ_BYTES, MSG_DONTWAIT);
        if (count < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? ERR_BUSY
                                                                             : ERR_CLOSED;
        if (count == 0)
            return ERR_CLOSED;
        got = (size_t)count;
    }
    buf_wrote(in, got);
    return ERR_OK;
}

/* What is in dial->packed into dial->in, so much as one reading brings. ERR_BUSY: it holds nothing more. */
static enum err unpack(struct dial *dial)
{
    size_t got, had = buf_len(&dial->packed);
    struct slice packed = buf_slice(&dial->packed);
    char *to = buf_room(&dial->in, DIAL_READ_BYTES);
    assert(to);
    enum err e = deflate_unpack(dial->deflate, &packed, to, DIAL_READ_BYTES, &got);
    buf_consume(&dial->packed, had - packed.len);
    buf_wrote(&dial->in, got);
    if (e != ERR_OK)
        return e;
    return got ? ERR_OK : ERR_BUSY;
}

/* What comes now into dial->in. */
static enum err receive_step(struct dial *dial, short *out_wait)
{
    if (!dial->deflate)
        return receive_bytes(dial, &dial->in, out_wait);
    for (;;) {
        enum err e = unpack(dial);
        if (e != ERR_BUSY)
            return e;
        TRY(receive_bytes(dial, &dial->packed, out_wait));
    }
}

/* Sends what goes now. ERR_BUSY: nothing went; *out_wait as above. */
static enum err send_step(struct dial *dial, struct slice bytes, size_t *out_len, short *out_wait)
{
    *out_wait = POLLOUT;
    *out_len = 0;
    if (dial->ssl) {
        ERR_clear_error();
        int done = SSL_write_ex(dial->ssl, bytes.ptr, bytes.len, out_len);
        if (done == 1)
            return ERR_OK;
        int why = SSL_get_error(dial->ssl, done);
        if (why == SSL_ERROR_WANT_READ)
            *out_wait = POLLIN;
        return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? ERR_BUSY : ERR_CLOSED;
    }
    ssize_t sent = send(dial->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? ERR_BUSY : ERR_CLOSED;
    *out_len = (size_t)sent;
    return ERR_OK;
}

/* The peer may be waiting until we read: takes what it says, as long as that is within reason. A peer that closed is found out by
 * the next send, and what it said before can still be read. */
static void receive_meanwhile(struct dial *dial)
{
    short unused;
    if (dial->receive_broken != ERR_OK || buf_len(&dial->in) >= DIAL_AHEAD_BYTES_MAX)
        return;
    enum err e = receive_step(dial, &unused);
    if (e != ERR_OK && e != ERR_BUSY)
        dial->receive_broken = e;
}

static enum err send_bytes(struct dial *dial, struct slice bytes)
{
    int64_t until_ms = call_until_ms(dial, dial->timeout_ms);
    while (dial->send_broken == ERR_OK && bytes.len) {
        size_t sent;
        short wait;
        enum err e = is_over(dial) ? ERR_TIMEOUT : send_step(dial, bytes, &sent, &wait);
        if (e == ERR_OK) {
            bytes = slice_from_index(bytes, sent);
            until_ms = call_until_ms(dial, dial->timeout_ms);
            continue;
        }
        if (e == ERR_BUSY) {
            bool may_read =
                dial->receive_broken == ERR_OK && buf_len(&dial->in) < DIAL_AHEAD_BYTES_MAX;
            e = wait_ready(dial, (short)(wait | (may_read ? POLLIN : 0)), until_ms);
            if (e == ERR_OK && may_read)
                receive_meanwhile(dial);
        }
        if (e != ERR_OK)
            dial->send_broken = e;
    }
    return dial->send_broken;
}

enum err dial_send(struct dial *dial, struct slice bytes)
{
    drop_last_line(dial);
    if (!dial->deflate || dial->send_broken != ERR_OK)
        return send_bytes(dial, bytes);
    struct buf packed;
    buf_init(&packed, 0);
    enum err e = deflate_pack(dial->deflate, bytes, &packed);
    if (e != ERR_OK)
        dial->send_broken = e;
    e = send_bytes(dial, buf_slice(&packed));
    buf_done(&packed);
    return e;
}

enum err dial_sendf(struct dial *dial, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0)
        return ERR_LIMIT;
    enum err e = dial_send(dial, slice_from(text, (size_t)len));
    free(text);
    return e;
}

/* Appends what comes next to dial->in. */
static enum err receive(struct dial *dial, int64_t until_ms)
{
    while (dial->receive_broken == ERR_OK) {
        short wait;
        enum err e = is_over(dial) ? ERR_TIMEOUT : receive_step(dial, &wait);
        if (e == ERR_OK)
            return ERR_OK;
        if (e == ERR_BUSY)
            e = wait_ready(dial, wait, until_ms);
        if (e != ERR_OK)
            dial->receive_broken = e;
    }
    return dial->receive_broken;
}

enum err dial_line(struct dial *dial, struct slice *out_line)
{
    int64_t until_ms = call_until_ms(dial, dial->timeout_ms);
    drop_last_line(dial);
    for (size_t searched = 0;;) {
        struct slice have = buf_slice(&dial->in);
        size_t at = searched + slice_index(slice_from_index(have, searched), '\n');
        if (at < have.len) {
            if (at == 0 || have.ptr[at - 1] != '\r')
                return ERR_SYNTAX;
            if (at + 1 > DIAL_LINE_BYTES_MAX)
                return ERR_LIMIT;
            dial->line_bytes = at + 1;
            *out_line = slice_sub(have, 0, at - 1);
            return ERR_OK;
        }
        if (have.len > DIAL_LINE_BYTES_MAX)
            return ERR_LIMIT;
        searched = have.len;
        TRY(receive(dial, until_ms));
    }
}

enum err dial_bytes(struct dial *dial, size_t len, struct buf *out)
{
    drop_last_line(dial);
    while (len) {
        struct slice have = slice_sub(buf_slice(&dial->in), 0, len);
        if (have.len == 0) {
            TRY(dial_more(dial));
            continue;
        }
        buf_add(out, have);
        TRY(buf_err(out));
        buf_consume(&dial->in, have.len);
        len -= have.len;
    }
    return ERR_OK;
}

struct slice dial_in(struct dial *dial)
{
    drop_last_line(dial);
    return buf_slice(&dial->in);
}

void dial_consume(struct dial *dial, size_t len)
{
    drop_last_line(dial);
    buf_consume(&dial->in, len);
}

enum err dial_more(struct dial *dial)
{
    drop_last_line(dial);
    return receive(dial, call_until_ms(dial, dial->timeout_ms));
}

/* Something has come that the system does not tell of any more. */
static bool has_more(struct dial *dial)
{
    if (dial->ssl && SSL_has_pending(dial->ssl))
        return true;
    return dial->deflate && dial->receive_broken == ERR_OK && unpack(dial) != ERR_BUSY;
}

enum err dial_wait(struct dial *dial, int timeout_ms)
{
    drop_last_line(dial);
    if (has_more(dial))
        return ERR_OK;
    return wait_ready(dial, POLLIN, call_until_ms(dial, timeout_ms));
}

enum err dial_wait_or(struct dial *dial, int other_fd, int timeout_ms, bool *out_other)
{
    struct pollfd wait[2] = { { .fd = dial->fd, .events = POLLIN },
        { .fd = other_fd, .events = POLLIN } };
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    drop_last_line(dial);
    *out_other = false;
    if (has_more(dial))
        return ERR_OK;
    for (;;) {
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0)
            return ERR_TIMEOUT;
        int ready = poll(wait, other_fd >= 0 ? 2 : 1, (int)left_ms);
        if (ready < 0 && errno != EINTR)
            return ERR_IO;
        if (ready > 0) {
            *out_other = other_fd >= 0 && wait[1].revents;
            return ERR_OK;
        }
    }
}

/* ---- what it is ---- */

uint32_t dial_rtt_us(const struct dial *dial)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof info;
    if (getsockopt(dial->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return 0;
    return info.tcpi_rtt;
}

void dial_set_timeout(struct dial *dial, int timeout_ms)
{
    dial->timeout_ms = timeout_ms;
}

bool dial_is_tls(const struct dial *dial)
{
    return dial->ssl != NULL;
}

bool dial_is_private(const struct dial *dial)
{
    return dial->local || (dial->ssl && dial->verified);
}

enum err dial_channel_binding(struct dial *dial, struct slice kind, struct buf *out)
{
    if (!dial->ssl)
        return ERR_NOT_FOUND;
    return tls_binding(dial->ssl, SSL_get0_peer_certificate(dial->ssl), kind, out);
}
