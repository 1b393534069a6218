/* libfam.so.0 for Courier's imapd, which wants a daemon that watches files and says so before its greeting when there is none: this one is there
 * and never has news. Sessions see changes when they ask. */
#include <unistd.h>

struct connection {
    int fd;
};

static int never(struct connection *c)
{
    int ends[2];
    if (pipe(ends) < 0)
        return -1;
    c->fd = ends[0]; /* the other end stays open: nothing to read, and no end either */
    return 0;
}

int FAMOpen(struct connection *c);
int FAMOpen(struct connection *c)
{
    return never(c);
}

int FAMOpen2(struct connection *c, const char *name);
int FAMOpen2(struct connection *c, const char *name)
{
    (void)name;
    return never(c);
}

int FAMClose(struct connection *c);
int FAMClose(struct connection *c)
{
    return close(c->fd);
}

#define NOTHING(name)                                                                              \
    int name(void);                                                                                \
    int name(void)                                                                                 \
    {                                                                                              \
        return 0;                                                                                  \
    }

NOTHING(FAMMonitorDirectory)
NOTHING(FAMMonitorFile)
NOTHING(FAMCancelMonitor)
NOTHING(FAMPending)
NOTHING(FAMNextEvent)
