/* Private to store/: the node. */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include "store/store.h"

#include <pthread.h>

struct store {
    pthread_mutex_t lock; /* creation and removal of account folders */
    int root_fd;          /* owned */
    size_t body_row_bytes_max;
};

#endif
