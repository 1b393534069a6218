/* directory.db: app passwords, and what devices did. */
#include "auth/app_password.h"
#include "auth/device.h"
#include "auth/directory_int.h"

#include "base/clock.h"
#include "base/rand.h"
#include "proto/sasl/sasl.h"

#include <stdlib.h>
#include <string.h>

#define DEVICE_ID_MASK ((UINT64_C(1) << 53) - 1)
#define DEVICE_TRIES   8 /* ids that are taken; one that is has never been seen */

static void copy_column(char *out, size_t out_bytes, sqlite3_stmt *statement, int column)
{
    struct slice text = slice_sub(sql_text(statement, column), 0, out_bytes - 1);
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
}

enum err device_name_canonical(struct slice name, char *out)
{
    struct buf text;
    name = slice_trim(name);
    if (name.len > APP_PASSWORD_NAME_BYTES_MAX * 2) /* the other spelling may be shorter */
        return ERR_LIMIT;
    buf_init(&text, 0);
    /* what OpaqueString takes can be printed and seen */
    enum err e = sasl_opaque_string(name, &text);
    struct slice all = slice_trim(buf_slice(&text)); /* all kinds of blanks are blanks now */
    if (!e && (all.len == 0 || all.len > APP_PASSWORD_NAME_BYTES_MAX))
        e = all.len == 0 ? ERR_SYNTAX : ERR_LIMIT;
    if (!e) {
        memcpy(out, all.ptr, all.len);
        out[all.len] = '\0';
    }
    buf_done(&text);
    return e;
}

int64_t directory_new_device(void)
{
    uint64_t random;
    do {
        rand_bytes(&random, sizeof random);
        random &= DEVICE_ID_MASK;
    } while (random == 0);
    return (int64_t)random;
}

/* ---- app passwords ---- */

struct new_app_password {
    char name[APP_PASSWORD_NAME_BYTES_MAX + 1], networks[NETWORKS_BYTES_MAX + 1];
    unsigned services;
    int64_t expires_s;
    unsigned char hash[APP_PASSWORD_HASH_BYTES];
    struct scram_keys keys[APP_PASSWORD_SPELLINGS];
};

/* With the writer's transaction open. */
static enum err app_password_id(
    struct directory_link *link, const struct user *user, struct slice name, int64_t *out_id)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&link->sql, SQL_APP_PASSWORD_ID, &statement));
    sql_bind_text(statement, 1, slice_of(user->id));
    sql_bind_text(statement, 2, name);
    bool found;
    TRY(sql_number(&link->sql, statement, out_id, &found));
    return found ? ERR_OK : ERR_NOT_FOUND;
}

/* Whether another fits: name and number. */
static enum err check_room(struct directory_link *link, const struct user *user, const char *name)
{
    sqlite3_stmt *statement;
    struct user there;
    int64_t id, count = 0;
    TRY(directory_find(link, SQL_USER_BY_ID, slice_of(user->id), &there, NULL));
    enum err e = app_password_id(link, user, slice_of(name), &id);
    if (e != ERR_NOT_FOUND)
        return e ? e : ERR_EXISTS;
    TRY(sql_get(&link->sql, SQL_APP_PASSWORD_COUNT, &statement));
    sql_bind_text(statement, 1, slice_of(user->id));
    TRY(sql_number(&link->sql, statement, &count, NULL));
    return count >= APP_PASSWORDS_PER_USER_MAX ? ERR_LIMIT : ERR_OK;
}

static enum err insert_one(struct directory_link *link, const struct user *user, int64_t id,
    const struct new_app_password *row)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&link->sql, SQL_APP_PASSWORD_INSERT, &statement));
    sqlite3_bind_int64(statement, 1, id);
    sql_bind_text(statement, 2, slice_of(user->id));
    sql_bind_text(statement, 3, slice_of(row->name));
    sqlite3_bind_int(statement, 4, (int)row->services);
    sqlite3_bind_int64(statement, 5, clock_wall_s());
    sqlite3_bind_int64(statement, 6, row->expires_s);
    sql_bind_text(statement, 7, slice_of(row->networks));
    sqlite3_bind_blob(statement, 8, row->hash, sizeof row->hash, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 9, row->keys, sizeof row->keys, SQLITE_STATIC);
    return sql_done(&link->sql, statement);
}

static enum err insert_app_password(struct directory_link *link, const struct user *user,
    const struct new_app_password *row, int64_t *out_device)
{
    TRY(check_room(link, user, row->name));
    enum err e = ERR_EXISTS;
    for (int tries = 0; e == ERR_EXISTS && tries < DEVICE_TRIES; tries++) {
        *out_device = directory_new_device();
        e = insert_one(link, user, *out_device, row);
    }
    return e == ERR_EXISTS ? ERR_CORRUPT : e;
}

/* What can be known before the write lock is taken. */
static enum err prepare(struct directory *directory, const struct user *user,
    const struct app_password_new *wanted, const char *text, struct new_app_password *out)
{
    struct user there;
    struct password_record record;
    char canonical[APP_PASSWORD_CHARS + 1];
    out->services = wanted->services & USER_SERVICES_ALL;
    out->expires_s = wanted->expires_s;
    TRY(device_name_canonical(wanted->name, out->name));
    if (wanted->networks.len > 0)
        TRY(networks_canonical(wanted->networks, out->networks));
    if (out->services == 0 || out->expires_s < 0)
        return ERR_SYNTAX;
    TRY(directory_secret(directory, slice_of(user->address), &there, &record));
    struct scram_secret salted = record.scram;
    explicit_bzero(&record, sizeof record);
    if (strcmp(there.id, user->id) != 0)
        return ERR_NOT_FOUND;
    if (salted.iterations == 0)
        return ERR_CORRUPT; /* against D-5 */
    if (!app_password_canonical(slice_of(text), canonical))
        return ERR_SYNTAX;
    app_password_hash(salted.salt, canonical, out->hash);
    enum err e = app_password_keys(&salted, text, out->keys);
    explicit_bzero(canonical, sizeof canonical);
    explicit_bzero(&salted, sizeof salted);
    return e;
}

enum err directory_app_password_add(struct directory *directory, const struct user *user,
    const struct app_password_new *wanted, char *out_text, int64_t *out_device)
{
    struct new_app_password row = { 0 };
    char text[APP_PASSWORD_TEXT_BYTES + 1];
    int64_t device = 0;
    app_password_make(text);
    enum err e = prepare(directory, user, wanted, text, &row);
    if (!e)
        e = directory_write_begin(directory);
    if (!e)
        e = directory_write_end(
            directory, insert_app_password(&directory->writer, user, &row, &device));
    if (!e) {
        memcpy(out_text, text, sizeof text);
        *out_device = device;
    }
    explicit_bzero(text, sizeof text);
    explicit_bzero(&row, sizeof row);
    return e;
}

static enum err delete_app_password(
    struct directory_link *link, const struct user *user, struct slice name, int64_t *out_device)
{
    sqlite3_stmt *statement;
    TRY(app_password_id(link, user, name, out_device));
    TRY(sql_get(&link->sql, SQL_APP_PASSWORD_DELETE, &statement));
    sqlite3_bind_int64(statement, 1, *out_device);
    TRY(sql_done(&link->sql, statement));
    TRY(sql_get(&link->sql, SQL_DEVICE_USES_DELETE, &statement));
    sql_bind_text(statement, 1, slice_of(user->id));
    sqlite3_bind_int64(statement, 2, *out_device);
    return sql_done(&link->sql, statement);
}

enum err directory_app_password_revoke(
    struct directory *directory, const struct user *user, struct slice name, int64_t *out_device)
{
    char canonical[APP_PASSWORD_NAME_BYTES_MAX + 1];
    int64_t device;
    if (device_name_canonical(name, canonical))
        return ERR_NOT_FOUND;
    TRY(directory_write_begin(directory));
    TRY(directory_write_end(
        directory, delete_app_password(&directory->writer, user, slice_of(canonical), &device)));
    *out_device = device;
    return ERR_OK;
}

enum err directory_app_passwords(
    struct directory *directory, struct slice user_id, app_password_take_fn *take, void *take_arg)
{
    struct directory_link *link = &directory->reader;
    sqlite3_stmt *statement = NULL;
    bool there;
    pthread_mutex_lock(&link->lock);
    enum err e = sql_get(&link->sql, SQL_APP_PASSWORDS, &statement);
    if (!e)
        sql_bind_text(statement, 1, user_id);
    while (!e && !(e = sql_step(&link->sql, statement, &there)) && there) {
        struct app_password_row row = {
            .id = sqlite3_column_int64(statement, 0),
            .services = (unsigned)sqlite3_column_int(statement, 1),
            .expires_s = sqlite3_column_int64(statement, 2),
            .networks = sql_text(statement, 3),
            .hash = sql_bytes(statement, 4),
            .keys = sql_bytes(statement, 5),
        };
        take(take_arg, &row);
    }
    sql_reset(statement);
    pthread_mutex_unlock(&link->lock);
    return e;
}

static enum err read_holds(struct directory_link *link, const struct user *user,
    enum user_service service, bool *out_holds)
{
    struct user now;
    sqlite3_stmt *statement;
    *out_holds = false;
    enum err e = directory_find(link, SQL_USER_BY_ID, slice_of(user->id), &now, NULL);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    if (now.disabled || !(now.services & service))
        return ERR_OK;
    *out_holds = user->secret == 0 || user->secret == now.secret;
    if (user->device == 0)
        return ERR_OK;
    TRY(sql_get(&link->sql, SQL_APP_PASSWORD_EXISTS, &statement));
    sqlite3_bind_int64(statement, 1, user->device);
    return sql_has(&link->sql, statement, out_holds);
}

bool directory_login_holds(
    struct directory *directory, const struct user *user, enum user_service service)
{
    struct directory_link *link = &directory->reader;
    bool holds;
    pthread_mutex_lock(&link->lock);
    enum err e = read_holds(link, user, service, &holds);
    pthread_mutex_unlock(&link->lock);
    return e != ERR_OK || holds;
}

/* ---- devices ---- */

static enum err read_devices(struct directory_link *link, const struct user *user,
    struct arena *arena, struct device **list, size_t *count)
{
    sqlite3_stmt *statement;
    size_t cap = *count;
    bool row;
    TRY(sql_get(&link->sql, SQL_DEVICES, &statement));
    sql_bind_text(statement, 1, slice_of(user->id));
    for (;;) {
        TRY(sql_step(&link->sql, statement, &row));
        if (!row)
            return ERR_OK;
        *list = arena_grow(arena, *list, &cap, *count + 1, sizeof **list);
        if (!*list) {
            sql_reset(statement);
            return ERR_LIMIT;
        }
        struct device *device = &(*list)[(*count)++];
        *device = (struct device){ .id = sqlite3_column_int64(statement, 0),
            .services = (unsigned)sqlite3_column_int(statement, 2),
            .created_s = sqlite3_column_int64(statement, 3),
            .expires_s = sqlite3_column_int64(statement, 4) };
        copy_column(device->name, sizeof device->name, statement, 1);
        copy_column(device->networks, sizeof device->networks, statement, 5);
    }
}

static void read_use(sqlite3_stmt *statement, struct device *list, size_t count)
{
    int64_t id = sqlite3_column_int64(statement, 0);
    int service = sqlite3_column_int(statement, 1);
    for (size_t i = 0; i < count; i++)
        for (unsigned bit = 0; list[i].id == id && bit < USER_SERVICE_COUNT; bit++)
            if (service == 1 << bit) {
                struct device_use *use = &list[i].uses[bit];
                use->last_s = sqlite3_column_int64(statement, 2);
                copy_column(use->address, sizeof use->address, statement, 3);
                use->retrieved = (uint64_t)sqlite3_column_int64(statement, 4);
            }
}

static enum err read_uses(
    struct directory_link *link, const struct user *user, struct device *list, size_t count)
{
    sqlite3_stmt *statement;
    bool row;
    TRY(sql_get(&link->sql, SQL_DEVICE_USES, &statement));
    sql_bind_text(statement, 1, slice_of(user->id));
    for (;;) {
        TRY(sql_step(&link->sql, statement, &row));
        if (!row)
            return ERR_OK;
        read_use(statement, list, count);
    }
}

enum err directory_devices(struct directory *directory, const struct user *user,
    struct arena *arena, struct device **out_list, size_t *out_count)
{
    struct directory_link *link = &directory->reader;
    size_t count = 1;
    struct device *list = arena_zalloc(arena, 1, sizeof *list);
    if (!list)
        return ERR_LIMIT;
    list->services = USER_SERVICES_ALL;
    list->created_s = user->created_s;
    TRY(directory_read_begin(directory));
    enum err e = read_devices(link, user, arena, &list, &count);
    if (!e)
        e = read_uses(link, user, list, count);
    directory_read_end(directory);
    if (e)
        return e;
    *out_list = list;
    *out_count = count;
    return ERR_OK;
}

const struct device_use *device_last_use(
    const struct device *device, enum user_service *out_service)
{
    const struct device_use *last = NULL;
    for (unsigned bit = 0; bit < USER_SERVICE_COUNT; bit++) {
        const struct device_use *use = &device->uses[bit];
        if (use->last_s > 0 && (!last || use->last_s > last->last_s)) {
            last = use;
            *out_service = (enum user_service)(1 << bit);
        }
    }
    return last;
}

static enum err write_news(struct directory_link *link, const struct device_news *news)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&link->sql, SQL_DEVICE_USE_ADD, &statement));
    sql_bind_text(statement, 1, slice_of(news->user_id));
    sqlite3_bind_int64(statement, 2, news->device);
    sqlite3_bind_int(statement, 3, (int)news->service);
    sqlite3_bind_int64(statement, 4, news->use.last_s);
    sql_bind_text(statement, 5, slice_of(news->use.address));
    sqlite3_bind_int64(statement, 6, (sqlite3_int64)news->use.retrieved);
    return sql_done(&link->sql, statement);
}

enum err directory_devices_write(
    struct directory *directory, const struct device_news *news, size_t count)
{
    TRY(directory_write_begin(directory));
    enum err e = ERR_OK;
    for (size_t i = 0; i < count && !e; i++)
        e = write_news(&directory->writer, &news[i]);
    return directory_write_end(directory, e);
}
