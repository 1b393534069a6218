/* Connections of coroutines, with and without TLS. */
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

char tls_seen[128];

void conn_init(struct conn *c, struct worker *w)
{
    memset(c, 0, sizeof *c);
    c->fd = -1;
    c->user = -1;
    c->w = w;
}

static int c_wait(struct conn *c, uint32_t what)
{
    while (!(c->ev & (what | EPOLLERR | EPOLLHUP))) {
        c->want = what;
        c->waiter = c->w->cur;
        co_park(c->w);
    }
    return 0;
}

int conn_adopt(struct conn *c, int fd)
{
    int one = 1;
    c->fd = fd;
    c->ev = 0;
    c->rpos = c->rend = c->wlen = 0;
    c->nsegs = 0;
    c->resumed = false;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (cfg.quickack)
        setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = c };
    return epoll_ctl(c->w->ep, EPOLL_CTL_ADD, fd, &e);
}

int conn_open(struct conn *c, const struct addr *a, bool tls)
{
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } u;
    socklen_t len;
    memset(&u, 0, sizeof u);
    if (!a->port) {
        u.un.sun_family = AF_UNIX;
        snprintf(u.un.sun_path, sizeof u.un.sun_path, "%s", a->host);
        len = sizeof u.un;
    } else if (inet_pton(AF_INET, a->host, &u.in.sin_addr) == 1) {
        u.in.sin_family = AF_INET;
        u.in.sin_port = htons((uint16_t)a->port);
        len = sizeof u.in;
    } else if (inet_pton(AF_INET6, a->host, &u.in6.sin6_addr) == 1) {
        u.in6.sin6_family = AF_INET6;
        u.in6.sin6_port = htons((uint16_t)a->port);
        len = sizeof u.in6;
    } else {
        err(c->w, "not an address: %s", a->host);
        return -1;
    }
    int fd = socket(u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        err(c->w, "socket: %s", strerror(errno));
        return -1;
    }
    for (int tries = 0;; tries++) {
        int r = connect(fd, &u.sa, len);
        if (!r || errno == EINPROGRESS)
            break;
        if (errno == EAGAIN && tries < 1000) { /* unix socket, full backlog */
            co_sleep(c->w, 1000000);
            continue;
        }
        err(c->w, "connect to %s:%d: %s", a->host, a->port, strerror(errno));
        close(fd);
        return -1;
    }
    if (conn_adopt(c, fd) < 0) {
        err(c->w, "epoll_ctl: %s", strerror(errno));
        close(fd);
        c->fd = -1;
        return -1;
    }
    c_wait(c, EPOLLOUT);
    int e = 0;
    socklen_t el = sizeof e;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &el);
    if (e) {
        err(c->w, "connect to %s:%d: %s", a->host, a->port, strerror(e));
        conn_close(c);
        return -1;
    }
    if (tls && conn_tls(c, false) < 0)
        return -1;
    return 0;
}

static const char *ssl_why(void)
{
    static __thread char b[256];
    unsigned long e = ERR_get_error();
    if (!e)
        return "connection closed";
    ERR_error_string_n(e, b, sizeof b);
    return b;
}

int conn_tls(struct conn *c, bool server)
{
    struct worker *w = c->w;
    c->ssl = SSL_new(server ? server_ctx() : client_ctx());
    if (!c->ssl || !SSL_set_fd(c->ssl, c->fd))
        die("SSL_new");
    if (server) {
        SSL_set_accept_state(c->ssl);
    } else {
        SSL_set_connect_state(c->ssl);
        SSL_set_app_data(c->ssl, w);
        char host[] = "localhost"; /* OpenSSL's macro casts const away */
        SSL_set_tlsext_host_name(c->ssl, host);
        if (cfg.resume && w->ntickets) {
            SSL_SESSION *s = w->tickets[--w->ntickets];
            SSL_set_session(c->ssl, s);
            SSL_SESSION_free(s);
        }
    }
    for (;;) {
        ERR_clear_error();
        int r = SSL_do_handshake(c->ssl);
        if (cfg.quickack) {
            int one = 1;
            setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
        }
        if (r == 1)
            break;
        int e = SSL_get_error(c->ssl, r);
        if (e == SSL_ERROR_WANT_READ) {
            if (c->ev & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                goto bad;
            c->ev &= ~(uint32_t)EPOLLIN;
            c_wait(c, EPOLLIN);
        } else if (e == SSL_ERROR_WANT_WRITE) {
            c->ev &= ~(uint32_t)EPOLLOUT;
            c_wait(c, EPOLLOUT);
        } else {
        bad:
            err(w, "TLS handshake: %s", ssl_why());
            conn_close(c);
            return -1;
        }
    }
    c->resumed = SSL_session_reused(c->ssl);
    if (!server && !tls_seen[0])
        snprintf(
            tls_seen, sizeof tls_seen, "%s %s", SSL_get_version(c->ssl), SSL_get_cipher(c->ssl));
    return 0;
}

void conn_close(struct conn *c)
{
    if (c->ssl) {
        SSL_set_quiet_shutdown(c->ssl, 1);
        SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    free(c->rb);
    free(c->wb);
    c->rb = c->wb = NULL;
    c->rcap = c->wcap = c->rpos = c->rend = c->wlen = 0;
    c->nsegs = 0;
}

int c_accept(struct conn *c)
{
    for (;;) {
        int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            return fd;
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN)
            return -1;
        c->ev &= ~(uint32_t)EPOLLIN;
        c_wait(c, EPOLLIN);
    }
}

#define RBUF 16384
int c_fill(struct conn *c)
{
    if (c->fd < 0)
        return -1;
    if (c->rpos == c->rend)
        c->rpos = c->rend = 0;
    if (!c->rb) {
        c->rcap = RBUF;
        c->rb = xmalloc(c->rcap);
    }
    if (c->rend == c->rcap) {
        if (c->rpos) {
            memmove(c->rb, c->rb + c->rpos, c->rend - c->rpos);
            c->rend -= c->rpos;
            c->rpos = 0;
        } else {
            c->rcap *= 2;
            c->rb = xrealloc(c->rb, c->rcap);
        }
    }
    for (;;) {
        size_t room = c->rcap - c->rend;
        if (c->ssl) {
            ERR_clear_error();
            int r = SSL_read(c->ssl, c->rb + c->rend, room > (1 << 20) ? 1 << 20 : (int)room);
            if (cfg.quickack) {
                int one = 1;
                setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
            }
            if (r > 0) {
                c->rend += (size_t)r;
                c->rx += (size_t)r;
                return r;
            }
            int e = SSL_get_error(c->ssl, r);
            if (e == SSL_ERROR_WANT_READ) {
                if (c->ev & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                    return 0;
                c->ev &= ~(uint32_t)EPOLLIN;
                c_wait(c, EPOLLIN);
                continue;
            }
            if (e == SSL_ERROR_WANT_WRITE) {
                c->ev &= ~(uint32_t)EPOLLOUT;
                c_wait(c, EPOLLOUT);
                continue;
            }
            return 0;
        }
        if (!(c->ev & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
            c_wait(c, EPOLLIN | EPOLLRDHUP);
        ssize_t r = read(c->fd, c->rb + c->rend, room);
        if (cfg.quickack) {
            int one = 1;
            setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
        }
        if (r > 0) {
            if ((size_t)r < room) /* drained: the next edge tells of more */
                c->ev &= ~(uint32_t)EPOLLIN;
            else if (c->rcap < (1 << 18) && c->rpos == 0 && c->rend == 0) {
                c->rcap *= 4; /* a bulk reader gets a larger buffer */
                c->rb = xrealloc(c->rb, c->rcap);
            }
            c->rend += (size_t)r;
            c->rx += (uint64_t)r;
            return (int)r;
        }
        if (r == 0)
            return 0;
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN) {
            if (c->ev & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                return 0;
            c->ev &= ~(uint32_t)EPOLLIN;
            continue;
        }
        return -1;
    }
}

int c_need(struct conn *c, size_t n)
{
    while (c->rend - c->rpos < n) {
        if (c->rpos && c->rcap - c->rpos < n) {
            memmove(c->rb, c->rb + c->rpos, c->rend - c->rpos);
            c->rend -= c->rpos;
            c->rpos = 0;
        }
        if (c->rcap < n) {
            c->rcap = n + RBUF;
            c->rb = xrealloc(c->rb, c->rcap);
        }
        if (c_fill(c) <= 0)
            return -1;
    }
    return 0;
}

char *c_line(struct conn *c, size_t *n)
{
    size_t seen = 0;
    for (;;) {
        char *p = c->rb ? c->rb + c->rpos : NULL;
        size_t have = c->rend - c->rpos;
        char *e = have > seen ? memchr(p + seen, '\n', have - seen) : NULL;
        if (e) {
            c->rpos += (size_t)(e - p) + 1;
            size_t l = (size_t)(e - p);
            if (l && p[l - 1] == '\r')
                l--;
            p[l] = 0;
            *n = l;
            return p;
        }
        seen = have;
        if (c_fill(c) <= 0)
            return NULL;
    }
}

static void wb_room(struct conn *c, size_t n)
{
    if (c->wlen + n > c->wcap) {
        while (c->wlen + n > c->wcap)
            c->wcap = c->wcap ? c->wcap * 2 : 1024;
        c->wb = xrealloc(c->wb, c->wcap);
    }
}
static void add_seg(struct conn *c, const char *p, size_t off, size_t n)
{
    if (c->nsegs && !p) {
        struct seg *s = &c->segs[c->nsegs - 1];
        if (!s->p && s->off + s->n == off) {
            s->n += n;
            return;
        }
    }
    c->segs[c->nsegs++] = (struct seg){ p, off, n };
}
void c_put(struct conn *c, const void *p, size_t n)
{
    if (c->nsegs >= 62)
        c_flush(c);
    wb_room(c, n);
    memcpy(c->wb + c->wlen, p, n);
    add_seg(c, NULL, c->wlen, n);
    c->wlen += n;
}
void c_puts(struct conn *c, const char *s)
{
    c_put(c, s, strlen(s));
}
void c_putf(struct conn *c, const char *fmt, ...)
{
    va_list ap;
    if (c->nsegs >= 62)
        c_flush(c);
    wb_room(c, 2048);
    va_start(ap, fmt);
    int n = vsnprintf(c->wb + c->wlen, 2048, fmt, ap);
    va_end(ap);
    if (n >= 2048)
        die("c_putf: too long");
    add_seg(c, NULL, c->wlen, (size_t)n);
    c->wlen += (size_t)n;
}
void c_putref(struct conn *c, const void *p, size_t n)
{
    if (n < 1024) {
        c_put(c, p, n);
        return;
    }
    if (c->nsegs >= 62)
        c_flush(c);
    add_seg(c, p, 0, n);
}

int c_flush(struct conn *c)
{
    int i = 0;
    size_t done = 0; /* of segment i */
    if (c->fd < 0)
        goto bad;
    while (i < c->nsegs) {
        if (c->ssl) {
            struct seg *s = &c->segs[i];
            const char *p = (s->p ? s->p : c->wb + s->off) + done;
            size_t n = s->n - done;
            ERR_clear_error();
            int r = SSL_write(c->ssl, p, n > (1 << 20) ? 1 << 20 : (int)n);
            if (r > 0) {
                c->tx += (uint64_t)r;
                done += (size_t)r;
                if (done == s->n) {
                    i++;
                    done = 0;
                }
                continue;
            }
            int e = SSL_get_error(c->ssl, r);
            if (e == SSL_ERROR_WANT_WRITE) {
                c->ev &= ~(uint32_t)EPOLLOUT;
                c_wait(c, EPOLLOUT);
            } else if (e == SSL_ERROR_WANT_READ) {
                c->ev &= ~(uint32_t)EPOLLIN;
                c_wait(c, EPOLLIN);
            } else {
                goto bad;
            }
            continue;
        }
        struct iovec v[64];
        int nv = 0;
        for (int k = i; k < c->nsegs; k++) {
            struct seg *s = &c->segs[k];
            size_t skip = k == i ? done : 0;
            v[nv].iov_base = (s->p ? (char *)(uintptr_t)s->p : c->wb + s->off) + skip;
            v[nv++].iov_len = s->n - skip;
        }
        struct msghdr m = { .msg_iov = v, .msg_iovlen = (size_t)nv };
        ssize_t r = sendmsg(c->fd, &m, MSG_NOSIGNAL);
        if (r < 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN)
                goto bad;
            c->ev &= ~(uint32_t)EPOLLOUT;
            if (c->ev & (EPOLLERR | EPOLLHUP))
                goto bad;
            c_wait(c, EPOLLOUT);
            continue;
        }
        c->tx += (uint64_t)r;
        size_t n = (size_t)r;
        while (n) {
            size_t left = c->segs[i].n - done;
            if (n < left) {
                done += n;
                break;
            }
            n -= left;
            i++;
            done = 0;
        }
    }
    c->nsegs = 0;
    c->wlen = 0;
    return 0;
bad:
    c->nsegs = 0;
    c->wlen = 0;
    return -1;
}

/* ------------------------------------------------------------------ TLS */
static int new_ticket(SSL *ssl, SSL_SESSION *s)
{
    struct worker *w = SSL_get_app_data(ssl);
    if (!w || w->ntickets >= 4096)
        return 0;
    if (w->ntickets == w->captickets) {
        w->captickets = w->captickets ? 2 * w->captickets : 16;
        w->tickets = xrealloc(w->tickets, sizeof(*w->tickets) * (size_t)w->captickets);
    }
    w->tickets[w->ntickets++] = s;
    return 1;
}

static SSL_CTX *cctx, *sctx;
static pthread_once_t conce = PTHREAD_ONCE_INIT, sonce = PTHREAD_ONCE_INIT;
static void common_ctx(SSL_CTX *x)
{
    SSL_CTX_set_min_proto_version(x, TLS1_3_VERSION);
    SSL_CTX_set_mode(x, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(x, 1);
    SSL_CTX_set_default_read_buffer_len(x, 65536);
}
static void make_cctx(void)
{
    cctx = SSL_CTX_new(TLS_client_method());
    if (!cctx)
        die("SSL_CTX_new");
    common_ctx(cctx);
    if (cfg.ca) {
        if (SSL_CTX_load_verify_locations(cctx, cfg.ca, NULL) != 1)
            die("cannot read --ca %s", cfg.ca);
        SSL_CTX_set_verify(cctx, SSL_VERIFY_PEER, NULL);
    }
    SSL_CTX_set_session_cache_mode(cctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    if (cfg.resume)
        SSL_CTX_sess_set_new_cb(cctx, new_ticket);
}
SSL_CTX *client_ctx(void)
{
    pthread_once(&conce, make_cctx);
    return cctx;
}
static void make_sctx(void)
{
    sctx = SSL_CTX_new(TLS_server_method());
    if (!sctx)
        die("SSL_CTX_new");
    common_ctx(sctx);
    if (SSL_CTX_use_certificate_chain_file(sctx, cfg.cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(sctx, cfg.key, SSL_FILETYPE_PEM) != 1)
        die("cannot read --cert or --key");
}
SSL_CTX *server_ctx(void)
{
    pthread_once(&sonce, make_sctx);
    return sctx;
}
