/* Listeners: binding, accepting, pausing when descriptors run out. */
#include "net/conn_int.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>

struct address {
    struct sockaddr_storage storage;
    socklen_t len;
};

static enum err parse_address(
    const char *text, int port, struct address *out, struct err_note *note)
{
    struct address a = { .len = 0 };
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    struct sockaddr_un path = { .sun_family = AF_UNIX };
    if (text[0] == '/') {
        size_t len = strlen(text);
        if (len >= sizeof path.sun_path)
            return err_noted(note, ERR_LIMIT, "the socket path %s is longer than %zu bytes", text,
                sizeof path.sun_path - 1);
        memcpy(path.sun_path, text, len + 1);
        memcpy(&a.storage, &path, sizeof path);
        a.len = sizeof path;
        *out = a;
        return ERR_OK;
    }
    if (port < 0 || port > 65535)
        return err_noted(note, ERR_SYNTAX, "%d is no port number (0 to 65535)", port);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        v4.sin_port = htons((uint16_t)port);
        memcpy(&a.storage, &v4, sizeof v4);
        a.len = sizeof v4;
    } else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        v6.sin6_port = htons((uint16_t)port);
        memcpy(&a.storage, &v6, sizeof v6);
        a.len = sizeof v6;
    } else {
        return err_noted(note, ERR_SYNTAX,
            "\"%s\" is neither an IP address nor the path of a socket (\"/...\")", text);
    }
    *out = a;
    return ERR_OK;
}

/* A socket that a former run left behind goes; anything else is not ours to remove. */
static enum err clear_path(const char *path, struct err_note *note)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? ERR_OK
                               : err_noted(note, err_from_errno(errno), "cannot look at %s: %s",
                                     path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return err_noted(
            note, ERR_EXISTS, "%s exists and is not a socket; it was left alone", path);
    if (unlink(path) < 0)
        return err_noted(note, err_from_errno(errno), "cannot remove the old socket %s: %s", path,
            strerror(errno));
    return ERR_OK;
}

static enum err bind_address(
    const struct net_listener_options *options, int *out_fd, struct err_note *note)
{
    struct address a;
    TRY(parse_address(options->address, options->port, &a, note));
    bool is_path = a.storage.ss_family == AF_UNIX;
    autoclose int fd = socket(a.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_noted(note, err_from_errno(errno), "cannot make a socket: %s", strerror(errno));
    int one = 1;
    if (is_path) {
        TRY(clear_path(options->address, note));
        /* Before bind, so that there is no moment in which the path has another mode. */
        if (fchmod(fd, 0660) < 0)
            return err_noted(note, err_from_errno(errno), "cannot set the mode of a socket: %s",
                strerror(errno));
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    }
    /* "::" means IPv6 alone on every system, whatever its sysctl says; 0.0.0.0 is a listener of its own. */
    if (a.storage.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&a.storage, a.len) < 0) {
        int e = errno;
        return err_noted(note, err_from_errno(e), "cannot listen on %s port %d for %s: %s%s",
            options->address, options->port, options->ops->name, strerror(e),
            e == EACCES && !is_path
                ? err_in(" (ports below 1024 need root or CAP_NET_BIND_SERVICE)")
            : e == EADDRINUSE ? err_in(" (another program has it; see ss -ltnp)")
                              : "");
    }
    if (is_path && chmod(options->address, 0660) < 0) /* the umask took bits away */
        return err_noted(note, err_from_errno(errno), "cannot set the mode of %s: %s",
            options->address, strerror(errno));
    if (listen(fd, SOMAXCONN) < 0)
        return err_noted(note, err_from_errno(errno), "cannot listen on %s port %d: %s",
            options->address, options->port, strerror(errno));
    *out_fd = fd;
    fd = -1;
    return ERR_OK;
}

static int bound_port(int fd)
{
    struct sockaddr_storage bound = { .ss_family = AF_UNSPEC };
    socklen_t len = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0)
        return 0;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    switch (bound.ss_family) {
    case AF_INET:
        memcpy(&v4, &bound, sizeof v4);
        return ntohs(v4.sin_port);
    case AF_INET6:
        memcpy(&v6, &bound, sizeof v6);
        return ntohs(v6.sin6_port);
    default:
        return 0;
    }
}

enum err net_listen(struct net *net, const struct net_listener_options *options, int *out_port,
    struct err_note *note)
{
    unsigned count = atomic_load(&net->listener_count);
    if (count == NET_LISTENERS_MAX)
        return err_noted(note, ERR_LIMIT, "more than %u listeners", NET_LISTENERS_MAX);
    int fd = -1;
    TRY(bind_address(options, &fd, note));
    struct listener *listener = mem_zalloc(1, sizeof *listener);
    listener->net = net;
    listener->ops = options->ops;
    listener->arg = options->listener_arg;
    listener->tls = options->tls;
    listener->fd = fd;
    listener->port = bound_port(fd);
    listener->path = options->address[0] == '/' ? mem_strdup(options->address) : NULL;
    listener->index = count;
    pthread_mutex_init(&listener->lock, NULL);
    atomic_store(&listener->resume_at_ms, INT64_MAX);
    net->listeners[count] = listener;
    atomic_store(&net->listener_count, count + 1);
    if (out_port)
        *out_port = listener->port;
    if (net->started)
        return listener_arm(listener, true);
    return ERR_OK;
}

enum err listener_arm(struct listener *listener, bool add)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLONESHOT,
        .data.u64 = listener->index + 1,
    };
    int op = add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(listener->net->epoll_fd, op, listener->fd, &event) < 0)
        return err_from_errno(errno);
    return ERR_OK;
}

void listener_resume(struct listener *listener)
{
    pthread_mutex_lock(&listener->lock);
    if (listener->fd >= 0 && listener_arm(listener, false) != ERR_OK)
        log_error(
            "net.accept", "proto=%s port=%d cannot resume", listener->ops->name, listener->port);
    pthread_mutex_unlock(&listener->lock);
}

/* Errors that belong to the one connection that was waiting (accept(2)). */
static bool accept_skips(int errno_value)
{
    switch (errno_value) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM:
        return true;
    default:
        return false;
    }
}

void listener_ready(struct listener *listener)
{
    struct net *net = listener->net;
    pthread_mutex_lock(&listener->lock);
    bool pause = false;
    for (int i = 0; i < NET_ACCEPT_BATCH && listener->fd >= 0; i++) {
        struct sockaddr_storage peer = { .ss_family = AF_UNIX };
        socklen_t len = sizeof peer;
        int fd =
            accept4(listener->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            conn_accepted(listener, fd, &peer);
            continue;
        }
        if (accept_skips(errno))
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            log_warn("net.accept", "proto=%s port=%d error=%s pausing for %d ms",
                listener->ops->name, listener->port, LOG_S(slice_of(strerror(errno))),
                NET_ACCEPT_PAUSE_MS);
            pause = true;
        }
        break;
    }
    if (listener->fd >= 0 && !pause && listener_arm(listener, false) != ERR_OK)
        pause = true;
    if (pause) {
        atomic_store(&listener->resume_at_ms, clock_mono_ms() + NET_ACCEPT_PAUSE_MS);
        timer_wake(net);
    }
    pthread_mutex_unlock(&listener->lock);
}

void listener_close(struct listener *listener)
{
    pthread_mutex_lock(&listener->lock);
    if (listener->fd >= 0) {
        close(listener->fd);
        listener->fd = -1;
        struct stat st;
        if (listener->path && lstat(listener->path, &st) == 0 && S_ISSOCK(st.st_mode))
            unlink(listener->path);
    }
    pthread_mutex_unlock(&listener->lock);
}

void listener_free(struct listener *listener)
{
    if (!listener)
        return;
    listener_close(listener);
    pthread_mutex_destroy(&listener->lock);
    free(listener->path);
    free(listener);
}
