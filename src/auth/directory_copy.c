/* A copy of the directory for a backup, and a user brought back from one. */
#include "auth/directory_int.h"

enum err directory_copy(struct directory *directory, const char *path)
{
    struct directory_link *link = &directory->reader;
    sqlite3_stmt *statement = NULL;
    pthread_mutex_lock(&link->lock);
    int rc = sqlite3_prepare_v2(link->db, "VACUUM INTO ?1", -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        directory_bind_text(statement, 1, slice_of(path));
        rc = sqlite3_step(statement);
    }
    enum err e = rc == SQLITE_DONE ? ERR_OK : directory_sql_err(link->db, rc);
    (void)sqlite3_finalize(statement);
    pthread_mutex_unlock(&link->lock);
    return e;
}

#define USER_COLUMNS                                                                               \
    "id, address, domain, services, disabled, quota_bytes, quota_messages, created_s, hash,"       \
    " imported, scram_iterations, scram_salt, scram_stored_key, scram_server_key"

/* Runs one statement with a value of a row bound; out_row may be NULL. */
static enum err run(sqlite3 *db, const char *text, sqlite3_value *value, bool *out_row)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, text, -1, &statement, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_value(statement, 1, value);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (out_row)
        *out_row = rc == SQLITE_ROW;
    (void)sqlite3_finalize(statement);
    return directory_sql_err(db, rc);
}

/* Inserts a row as another database has it; replace_at (-1: none) is the column that becomes `id` instead. */
static enum err insert_like(
    sqlite3 *db, const char *insert, sqlite3_stmt *row, int replace_at, int64_t id)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, insert, -1, &statement, NULL);
    for (int i = 0; i < sqlite3_column_count(row) && rc == SQLITE_OK; i++)
        rc = i == replace_at ? sqlite3_bind_int64(statement, i + 1, id)
                             : sqlite3_bind_value(statement, i + 1, sqlite3_column_value(row, i));
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    return directory_sql_err(db, rc);
}

/* Calls insert_like for each row of `select`, in which ?1 is the user and ?2 a device. */
static enum err copy_rows(sqlite3 *from, const char *select, struct slice user, int64_t device,
    sqlite3 *to, const char *insert, int64_t id)
{
    sqlite3_stmt *rows = NULL;
    int rc = sqlite3_prepare_v2(from, select, -1, &rows, NULL);
    if (rc == SQLITE_OK) {
        directory_bind_text(rows, 1, user);
        rc = sqlite3_bind_int64(rows, 2, device);
    }
    enum err e = ERR_OK;
    while (rc == SQLITE_OK && !e) {
        int step = sqlite3_step(rows);
        if (step != SQLITE_ROW) {
            e = directory_sql_err(from, step);
            break;
        }
        e = insert_like(to, insert, rows, 0, id);
    }
    if (rc != SQLITE_OK)
        e = directory_sql_err(from, rc);
    (void)sqlite3_finalize(rows);
    return e;
}

/* The id, or another one when some device here has it. */
static enum err free_device(sqlite3 *db, sqlite3_stmt *row, int64_t *out_id)
{
    bool taken = false;
    TRY(run(db, "SELECT 1 FROM app_passwords WHERE id = ?1", sqlite3_column_value(row, 0), &taken));
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

static enum err insert_devices(sqlite3 *from, struct slice user, sqlite3 *to)
{
    sqlite3_stmt *rows = NULL;
    int rc = sqlite3_prepare_v2(from,
        "SELECT id, user, name, services, created_s, expires_s, networks, hash, scram_keys"
        " FROM app_passwords WHERE user = ?1",
        -1, &rows, NULL);
    enum err e = directory_sql_err(from, rc);
    if (!e)
        directory_bind_text(rows, 1, user);
    while (!e && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
        int64_t id = 0;
        e = free_device(to, rows, &id);
        if (!e)
            e = insert_like(to,
                "INSERT INTO app_passwords(id, user, name, services, created_s, expires_s,"
                " networks, hash, scram_keys) VALUES(?,?,?,?,?,?,?,?,?)",
                rows, 0, id);
        if (!e)
            e = copy_rows(
                from, USE_SELECT, user, sqlite3_column_int64(rows, 0), to, USE_INSERT, id);
        if (!e)
            e = copy_rows(
                from, POP_SELECT, user, sqlite3_column_int64(rows, 0), to, POP_INSERT, id);
    }
    if (!e)
        e = directory_sql_err(from, rc);
    (void)sqlite3_finalize(rows);
    if (!e)
        e = copy_rows(from, USE_SELECT, user, 0, to, USE_INSERT, 0);
    return e ? e : copy_rows(from, POP_SELECT, user, 0, to, POP_INSERT, 0);
}

/* row: its columns, as a statement on `from` has them. */
static enum err insert_all(sqlite3 *from, sqlite3_stmt *row, struct directory_link *link)
{
    if (directory_find_alias(link, directory_column_text(row, 1)) == ERR_OK)
        return ERR_EXISTS;
    TRY(run(
        link->db, "INSERT OR IGNORE INTO domains VALUES(?1)", sqlite3_column_value(row, 2), NULL));
    TRY(insert_like(link->db,
        "INSERT INTO users(" USER_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)", row, -1, 0));
    return insert_devices(from, directory_column_text(row, 0), link->db);
}

enum err directory_restore_user(struct directory *directory, struct directory *copy,
    struct slice address, struct user *out_user)
{
    char canonical[USER_NAME_BYTES_MAX + 1];
    TRY(address_canonical(address, canonical));
    struct directory_link *link = &copy->reader;
    sqlite3_stmt *row = NULL;
    pthread_mutex_lock(&link->lock);
    int rc = sqlite3_prepare_v2(
        link->db, "SELECT " USER_COLUMNS " FROM users WHERE address=?1", -1, &row, NULL);
    if (rc == SQLITE_OK) {
        directory_bind_text(row, 1, slice_of(canonical));
        rc = sqlite3_step(row);
    }
    enum err e = rc == SQLITE_ROW    ? directory_write_begin(directory)
                 : rc == SQLITE_DONE ? ERR_NOT_FOUND
                                     : directory_sql_err(link->db, rc);
    if (!e)
        e = directory_write_end(directory, insert_all(link->db, row, &directory->writer));
    (void)sqlite3_finalize(row);
    pthread_mutex_unlock(&link->lock);
    return e == ERR_OK ? directory_user(directory, slice_of(canonical), out_user) : e;
}
