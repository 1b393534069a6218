/* One table of news, keyed by user, device and service, and a thread that takes it away every DEVICES_WRITE_S seconds. Lock order: write_lock,
 * then lock, a leaf that is never held while the directory is asked. */
#include "server/core/devices.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEVICES_WRITE_S (5 * 60)
#define DEVICES_FULL    (DEVICE_USES_MAX * 3 / 4) /* written early */
#define THREAD_STACK    (256u << 10)

struct table {
    struct device_news *news; /* owned */
    size_t count, cap;
    struct map index; /* key_of -> place in news, counted from 1 */
};

struct devices {
    struct directory *directory; /* borrowed */
    pthread_mutex_t write_lock;  /* one writer at a time, so that nothing is written twice */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct table table;
    uint64_t forgotten;
    pthread_t thread;
    bool started, ending;
};

struct key {
    char user_id[USER_ID_BYTES + 1];
    int64_t device;
    enum user_service service;
};

static void table_init(struct table *table)
{
    *table = (struct table){ 0 };
    map_init(&table->index);
}

static void table_done(struct table *table)
{
    map_done(&table->index);
    free(table->news);
}

/* False when it is full. */
static bool table_add(struct table *table, const struct device_news *news)
{
    struct key key;
    memset(&key, 0, sizeof key); /* the gaps too: its bytes are the key */
    memcpy(key.user_id, news->user_id, sizeof key.user_id);
    key.device = news->device;
    key.service = news->service;
    struct slice bytes = slice_from(&key, sizeof key);
    size_t at = (size_t)(uintptr_t)map_get(&table->index, bytes);
    if (at > 0) {
        struct device_use *use = &table->news[at - 1].use;
        uint64_t retrieved = use->retrieved + news->use.retrieved;
        if (news->use.last_s >= use->last_s)
            *use = news->use;
        use->retrieved = retrieved;
        return true;
    }
    if (table->count == DEVICE_USES_MAX)
        return false;
    if (table->count == table->cap) {
        table->cap = table->cap ? table->cap * 2 : 64;
        table->news = mem_realloc(table->news, table->cap * sizeof *table->news);
    }
    table->news[table->count++] = *news;
    (void)map_put(&table->index, bytes, (void *)(uintptr_t)table->count);
    return true;
}

void devices_note(struct devices *devices, const struct device_news *news)
{
    pthread_mutex_lock(&devices->lock);
    if (!table_add(&devices->table, news))
        devices->forgotten++;
    if (devices->table.count == DEVICES_FULL)
        pthread_cond_signal(&devices->wake);
    pthread_mutex_unlock(&devices->lock);
}

/* What could not be written, back to what came meanwhile. */
static void put_back(struct devices *devices, const struct table *table)
{
    pthread_mutex_lock(&devices->lock);
    for (size_t i = 0; i < table->count; i++)
        if (!table_add(&devices->table, &table->news[i]))
            devices->forgotten++;
    pthread_mutex_unlock(&devices->lock);
}

enum err devices_write(struct devices *devices)
{
    struct table table;
    pthread_mutex_lock(&devices->write_lock);
    pthread_mutex_lock(&devices->lock);
    table = devices->table;
    table_init(&devices->table);
    uint64_t forgotten = devices->forgotten;
    devices->forgotten = 0;
    pthread_mutex_unlock(&devices->lock);
    enum err e = ERR_OK;
    if (table.count > 0)
        e = directory_devices_write(devices->directory, table.news, table.count);
    if (e) {
        log_warn("devices.write", "count=%zu result=%s next=trying again later", table.count,
            err_name(e));
        put_back(devices, &table);
    }
    if (forgotten > 0)
        log_warn("devices.forgotten", "count=%llu uses of devices are not on record",
            (unsigned long long)forgotten);
    table_done(&table);
    pthread_mutex_unlock(&devices->write_lock);
    return e;
}

static void *run(void *devices_arg)
{
    struct devices *devices = devices_arg;
    pthread_mutex_lock(&devices->lock);
    while (!devices->ending) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += DEVICES_WRITE_S;
        (void)pthread_cond_timedwait(&devices->wake, &devices->lock, &until);
        if (devices->ending)
            break;
        pthread_mutex_unlock(&devices->lock);
        (void)devices_write(devices);
        pthread_mutex_lock(&devices->lock);
    }
    pthread_mutex_unlock(&devices->lock);
    return NULL;
}

struct devices *devices_new(struct directory *directory)
{
    struct devices *devices = mem_zalloc(1, sizeof *devices);
    pthread_condattr_t attributes;
    devices->directory = directory;
    pthread_mutex_init(&devices->write_lock, NULL);
    pthread_mutex_init(&devices->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&devices->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    table_init(&devices->table);
    return devices;
}

void devices_start(struct devices *devices)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK);
    devices->started = pthread_create(&devices->thread, &attributes, run, devices) == 0;
    pthread_attr_destroy(&attributes);
    if (!devices->started)
        log_error("devices.start", "no thread, uses of devices are written at the end");
}

void devices_stop(struct devices *devices)
{
    if (!devices)
        return;
    pthread_mutex_lock(&devices->lock);
    devices->ending = true;
    pthread_cond_signal(&devices->wake);
    pthread_mutex_unlock(&devices->lock);
    if (devices->started)
        pthread_join(devices->thread, NULL);
    devices->started = false;
    (void)devices_write(devices);
}

void devices_free(struct devices *devices)
{
    if (!devices)
        return;
    devices_stop(devices);
    pthread_cond_destroy(&devices->wake);
    pthread_mutex_destroy(&devices->lock);
    pthread_mutex_destroy(&devices->write_lock);
    table_done(&devices->table);
    free(devices);
}
