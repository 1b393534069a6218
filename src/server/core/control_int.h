/* Shared by the two sides of the control socket. */
#ifndef SERVER_CORE_CONTROL_INT_H
#define SERVER_CORE_CONTROL_INT_H

#include "base/err.h"
#include "base/slice.h"

#include <sys/un.h>

/* ERR_LIMIT when the path does not fit. */
enum err MUST_USE control_socket_path(const char *data_dir, struct sockaddr_un *out);
/* A connected descriptor, or -1 with errno. The caller closes it. */
int control_connect(const struct sockaddr_un *address);
/* Sends all; gives up when the other side is gone. */
void control_send(int fd, struct slice bytes);

#endif
