/* A copy of the directory for a backup, and a user brought back from one. */
#include "auth/directory_int.h"

#include "base/map.h"

static enum err copy_into(struct sql_db *sql, const char *path)
{
    sqlite3_stmt *statement;
    TRY(sql_prepare(sql, "VACUUM INTO ?1", &statement));
    sql_bind_text(statement, 1, slice_of(path));
    enum err e = sql_done(sql, statement);
    (void)sqlite3_finalize(statement);
    return e;
}

enum err directory_copy(struct directory *directory, const char *path)
{
    struct directory_link *link = &directory->reader;
    pthread_mutex_lock(&link->lock);
    enum err e = copy_into(&link->sql, path);
    pthread_mutex_unlock(&link->lock);
    return e;
}

#define USER_COLUMNS                                                                               \
    "id, address, domain, services, disabled, quota_bytes, quota_messages, created_s, hash,"       \
    " imported, scram_iterations, scram_salt, scram_stored_key, scram_server_key"

/* Runs one statement with a value of a row bound: whether a row came. */
static enum err run(struct sql_db *sql, const char *text, sqlite3_value *value, bool *out_row)
{
    sqlite3_stmt *statement;
    TRY(sql_prepare(sql, text, &statement));
    enum err e = sql_err(sql, sqlite3_bind_value(statement, 1, value));
    if (!e)
        e = sql_has(sql, statement, out_row);
    (void)sqlite3_finalize(statement);
    return e;
}

/* Inserts a row as another database has it; replace_at (-1: none) is the column that becomes `id` instead. */
static enum err insert_like(
    struct sql_db *sql, const char *insert, sqlite3_stmt *row, int replace_at, int64_t id)
{
    sqlite3_stmt *statement;
    TRY(sql_prepare(sql, insert, &statement));
    enum err e = ERR_OK;
    for (int i = 0; i < sqlite3_column_count(row) && !e; i++)
        e = sql_err(sql, i == replace_at
                             ? sqlite3_bind_int64(statement, i + 1, id)
                             : sqlite3_bind_value(statement, i + 1, sqlite3_column_value(row, i)));
    if (!e)
        e = sql_done(sql, statement);
    (void)sqlite3_finalize(statement);
    return e;
}

/* Calls insert_like for each row of `select`, in which ?1 is the user and ?2 a device. */
static enum err copy_rows(struct sql_db *from, const char *select, struct slice user,
    int64_t device, struct sql_db *to, const char *insert, int64_t id)
{
    sqlite3_stmt *rows;
    bool row;
    TRY(sql_prepare(from, select, &rows));
    sql_bind_text(rows, 1, user);
    (void)sqlite3_bind_int64(rows, 2, device);
    enum err e = ERR_OK;
    while (!e && !(e = sql_step(from, rows, &row)) && row)
        e = insert_like(to, insert, rows, 0, id);
    (void)sqlite3_finalize(rows);
    return e;
}

/* The id, or another one when some device here has it. */
static enum err free_device(struct sql_db *sql, sqlite3_stmt *row, int64_t *out_id)
{
    bool taken;
    TRY(run(
        sql, "SELECT 1 FROM app_passwords WHERE id = ?1", sqlite3_column_value(row, 0), &taken));
    *out_id = taken ? directory_new_device() : sqlite3_column_int64(row, 0);
    return ERR_OK;
}

#define USE_SELECT                                                                                 \
    "SELECT device, user, service, last_s, address, retrieved FROM device_uses"                    \
    " WHERE user = ?1 AND device = ?2"
#define USE_INSERT                                                                                 \
    "INSERT INTO device_uses(device, user, service, last_s, address, retrieved)"                   \
    " VALUES(?,?,?,?,?,?)"

#define POP_SELECT                                                                                 \
    "SELECT device, user, since_ms, settings FROM pop_policies WHERE user = ?1 AND device = ?2"
#define POP_INSERT "INSERT INTO pop_policies(device, user, since_ms, settings) VALUES(?,?,?,?)"

/* One app password, what its device did, and its policy. */
static enum err insert_device(
    struct sql_db *from, struct slice user, sqlite3_stmt *row, struct sql_db *to)
{
    int64_t id, old_id = sqlite3_column_int64(row, 0);
    TRY(free_device(to, row, &id));
    TRY(insert_like(to,
        "INSERT INTO app_passwords(id, user, name, services, created_s, expires_s,"
        " networks, hash, scram_keys) VALUES(?,?,?,?,?,?,?,?,?)",
        row, 0, id));
    TRY(copy_rows(from, USE_SELECT, user, old_id, to, USE_INSERT, id));
    return copy_rows(from, POP_SELECT, user, old_id, to, POP_INSERT, id);
}

static enum err insert_devices(struct sql_db *from, struct slice user, struct sql_db *to)
{
    sqlite3_stmt *rows;
    bool row;
    TRY(sql_prepare(from,
        "SELECT id, user, name, services, created_s, expires_s, networks, hash, scram_keys"
        " FROM app_passwords WHERE user = ?1",
        &rows));
    sql_bind_text(rows, 1, user);
    enum err e = ERR_OK;
    while (!e && !(e = sql_step(from, rows, &row)) && row)
        e = insert_device(from, user, rows, to);
    (void)sqlite3_finalize(rows);
    if (!e)
        e = copy_rows(from, USE_SELECT, user, 0, to, USE_INSERT, 0);
    return e ? e : copy_rows(from, POP_SELECT, user, 0, to, POP_INSERT, 0);
}

/* ---- aliases ---- */

/* What leads to the user in the copy, from the user outwards: `names` are its address and the aliases that came back. */
struct alias_walk {
    struct directory_link *to;
    struct arena arena;
    struct map came_back;
    struct slice *names;
    size_t count, cap;
};

static enum err alias_name_add(struct alias_walk *walk, struct slice name)
{
    struct slice copy = slice_dup(&walk->arena, name);
    walk->names =
        arena_grow(&walk->arena, walk->names, &walk->cap, walk->count + 1, sizeof *walk->names);
    if (!walk->names || !copy.ptr)
        return ERR_LIMIT;
    walk->names[walk->count++] = copy;
    (void)map_put(&walk->came_back, copy, walk);
    return ERR_OK;
}

/* Whether the name is free here. One that is somebody's, or leads anywhere, stays as it is; so does a domain that is not ours any more. */
static enum err alias_is_free(struct directory_link *link, sqlite3_stmt *row, bool *out_free)
{
    struct user user;
    struct slice alias = sql_text(row, 0);
    *out_free = false;
    enum err e = directory_find_domain(link, sql_text(row, 2));
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    e = directory_find(link, SQL_USER, alias, &user, NULL);
    if (e == ERR_NOT_FOUND)
        e = directory_find_alias(link, alias);
    *out_free = e == ERR_NOT_FOUND;
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err alias_come_back(struct alias_walk *walk, sqlite3_stmt *row)
{
    struct slice alias = sql_text(row, 0);
    if (!map_get(&walk->came_back, alias)) {
        bool is_free;
        TRY(alias_is_free(walk->to, row, &is_free));
        if (!is_free)
            return ERR_OK;
        TRY(alias_name_add(walk, alias));
    }
    return insert_like(
        &walk->to->sql, "INSERT INTO aliases(alias, target, domain) VALUES(?, ?, ?)", row, -1, 0);
}

static enum err aliases_of(struct alias_walk *walk, struct sql_db *from, struct slice name)
{
    sqlite3_stmt *rows;
    bool row;
    TRY(sql_prepare(
        from, "SELECT alias, target, domain FROM aliases WHERE target = ?1 ORDER BY alias", &rows));
    sql_bind_text(rows, 1, name);
    enum err e = ERR_OK;
    while (!e && !(e = sql_step(from, rows, &row)) && row)
        e = alias_come_back(walk, rows);
    (void)sqlite3_finalize(rows);
    return e;
}

/* They went with the user (D-3). */
static enum err insert_aliases(struct sql_db *from, struct slice address, struct directory_link *to)
{
    struct alias_walk walk = { .to = to };
    arena_init(&walk.arena, SIZE_MAX); /* our own data */
    map_init(&walk.came_back);
    enum err e = alias_name_add(&walk, address);
    for (size_t i = 0; i < walk.count && !e; i++)
        e = aliases_of(&walk, from, walk.names[i]);
    map_done(&walk.came_back);
    arena_done(&walk.arena);
    return e;
}

/* row: its columns, as a statement on `from` has them. */
static enum err insert_all(struct sql_db *from, sqlite3_stmt *row, struct directory_link *link)
{
    bool unused;
    if (directory_find_alias(link, sql_text(row, 1)) == ERR_OK)
        return ERR_EXISTS;
    TRY(run(&link->sql, "INSERT OR IGNORE INTO domains VALUES(?1)", sqlite3_column_value(row, 2),
        &unused));
    TRY(insert_like(&link->sql,
        "INSERT INTO users(" USER_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)", row, -1, 0));
    TRY(insert_devices(from, sql_text(row, 0), &link->sql));
    return insert_aliases(from, sql_text(row, 1), link);
}

static enum err restore_user(
    struct directory *directory, struct sql_db *copy, struct slice canonical)
{
    sqlite3_stmt *row;
    bool there;
    TRY(sql_prepare(copy, "SELECT " USER_COLUMNS " FROM users WHERE address=?1", &row));
    sql_bind_text(row, 1, canonical);
    enum err e = sql_step(copy, row, &there);
    if (!e && !there)
        e = ERR_NOT_FOUND;
    if (!e)
        e = directory_write_begin(directory);
    if (!e)
        e = directory_write_end(directory, insert_all(copy, row, &directory->writer));
    (void)sqlite3_finalize(row);
    return e;
}

enum err directory_restore_user(struct directory *directory, struct directory *copy,
    struct slice address, struct user *out_user)
{
    char canonical[USER_NAME_BYTES_MAX + 1];
    TRY(address_canonical(address, canonical));
    pthread_mutex_lock(&copy->reader.lock);
    enum err e = restore_user(directory, &copy->reader.sql, slice_of(canonical));
    pthread_mutex_unlock(&copy->reader.lock);
    return e == ERR_OK ? directory_user(directory, slice_of(canonical), out_user) : e;
}
