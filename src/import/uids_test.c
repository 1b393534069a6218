#include "import/uids.h"

#include "base/test.h"

static void dovecot_heads(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum err e;
        unsigned version;
        uint32_t uidvalidity;
    } rows[] = {
        { "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1", ERR_OK, 3, 1275660208 },
        { "3 N2 V7", ERR_OK, 3, 7 },
        { "1 1275660208 25022", ERR_OK, 1, 1275660208 },
        { "3 N25022", ERR_SYNTAX, 0, 0 },
        { "3 V0 N1", ERR_SYNTAX, 0, 0 },
        { "3 V4294967296 N1", ERR_LIMIT, 0, 0 },
        { "3 Vx N1", ERR_SYNTAX, 0, 0 },
        { "2 V1 N1", ERR_SYNTAX, 0, 0 },
        { "1", ERR_SYNTAX, 0, 0 },
        { "", ERR_SYNTAX, 0, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned version = 0;
        uint32_t uidvalidity = 0;
        enum err e = import_dovecot_head(slice_of(rows[i].line), &version, &uidvalidity);
        if (e != rows[i].e || version != rows[i].version || uidvalidity != rows[i].uidvalidity)
            fail_msg("<%s>: %s %u %u", rows[i].line, err_name(e), version, uidvalidity);
    }
}

static void dovecot_records(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        unsigned version;
        enum err e;
        uint32_t uid;
        const char *name, *uidl, *guid;
    } rows[] = {
        { "25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,", 3, ERR_OK, 25006,
            "1276528487.M364837P9451.kurkku,S=1355,W=1394", "", "" },
        { "1 PUID1-7 W12 :a", 3, ERR_OK, 1, "a", "UID1-7", "" },
        { "1 W40 P :1600.host:2,S", 3, ERR_OK, 1, "1600.host", "1600.host", "" },
        { "1 W12 Gg1 P0:1 :a b", 3, ERR_OK, 1, "a b", "0:1", "g1" },
        { "7 name", 1, ERR_OK, 7, "name", "", "" },
        { "7 P1 name", 3, ERR_SYNTAX, 0, "", "", "" },
        { "7 :", 3, ERR_SYNTAX, 0, "", "", "" },
        { "0 :a", 3, ERR_SYNTAX, 0, "", "", "" },
        { "x :a", 3, ERR_SYNTAX, 0, "", "", "" },
        { "7", 1, ERR_SYNTAX, 0, "", "", "" },
        { "", 3, ERR_SYNTAX, 0, "", "", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct import_uid uid = { .name = SLICE_EMPTY };
        enum err e = import_dovecot_record(slice_of(rows[i].line), rows[i].version, 9, &uid);
        if (e != rows[i].e || uid.uid != rows[i].uid)
            fail_msg("<%s>: %s %u", rows[i].line, err_name(e), uid.uid);
        assert_slice(rows[i].line, uid.name, slice_of(rows[i].name));
        assert_slice(rows[i].line, uid.uidl, slice_of(rows[i].uidl));
        assert_slice(rows[i].line, uid.guid, slice_of(rows[i].guid));
        assert_int_equal(uid.uidvalidity, e == ERR_OK ? 9 : 0);
    }
}

static void courier_names(void **state)
{
    (void)state;
    static const struct {
        const char *line, *name, *uidl;
    } rows[] = {
        { "1600000001.M1P1.host:2,S 40 1:1795727859:0", "1600000001.M1P1.host", "UID1-1795727859" },
        { "1600000001.M1P1.host:2, 40 12:7", "1600000001.M1P1.host", "UID12-7" },
        { "a name 40 3:0:1", "a name", "UID3" },
        { "a+'b\x80 40 0:0:0", "a+'b\x80", "a+2B+27b+80" },
        { "a 40", NULL, NULL },
        { "a 40 1", NULL, NULL },
        { "a 40 x:1", NULL, NULL },
        { ":2,S 40 1:1", NULL, NULL },
        { "a", NULL, NULL },
        { "", NULL, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct import_uid uid = { 0 };
        enum err e = import_courier_record(slice_of(rows[i].line), &uid);
        assert_int_equal(e == ERR_OK, rows[i].name != NULL);
        if (e != ERR_OK)
            continue;
        struct buf out;
        buf_init(&out, 0);
        import_courier_uidl(&uid, &out);
        assert_slice(rows[i].line, uid.name, slice_of(rows[i].name));
        assert_slice(rows[i].line, buf_slice(&out), slice_of(rows[i].uidl));
        buf_done(&out);
    }
    assert_ok(import_courier_head(SLICE("/3 4 1795727859")));
    assert_ok(import_courier_head(SLICE("/2 4 1795727859")));
    assert_err(ERR_SYNTAX, import_courier_head(SLICE("/1 4")));
    assert_err(ERR_SYNTAX, import_courier_head(SLICE("/3 x")));
    assert_err(ERR_SYNTAX, import_courier_head(SLICE("")));
}

static void formats(void **state)
{
    (void)state;
    static const struct {
        const char *format, *uidl; /* NULL: it is no format */
    } rows[] = {
        { IMPORT_DOVECOT_FORMAT, "0000001f4c0a1b2c" },
        { "%v.%u", "1275730732.31" },
        { "UID%u-%v", "UID31-1275730732" },
        { "%Xu", "1f" },
        { "%4u%%", "31%" },
        { "%2Xv", "4c" },
        { "%010u", "0000000031" },
        { "%f", "1600.host,S=4" },
        { "%g", "1600.host,S=4" },
        { "x%g%u", "x1600.host,S=431" },
        { "constant", NULL },
        { "%", NULL },
        { "%%", NULL },
        { "%m", NULL },
        { "%Lu", NULL },
        { "%08f", NULL },
        { "%99u", NULL },
        { "%u%", NULL },
        { "", NULL },
    };
    struct import_uid uid = {
        .name = SLICE("1600.host,S=4"), .uid = 31, .uidvalidity = 1275730732
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out;
        buf_init(&out, 0);
        if (import_format_ok(slice_of(rows[i].format)) != (rows[i].uidl != NULL))
            fail_msg("<%s>", rows[i].format);
        if (rows[i].uidl) {
            import_format_write(slice_of(rows[i].format), &uid, &out);
            assert_slice(rows[i].format, buf_slice(&out), slice_of(rows[i].uidl));
        }
        buf_done(&out);
    }
    struct buf out;
    buf_init(&out, 0);
    uid.guid = SLICE("abc");
    import_format_write(SLICE("%g-%f"), &uid, &out);
    assert_slice("guid", buf_slice(&out), SLICE("abc-1600.host,S=4"));
    buf_done(&out);
}

TEST_MAIN(cmocka_unit_test(dovecot_heads), cmocka_unit_test(dovecot_records),
    cmocka_unit_test(courier_names), cmocka_unit_test(formats))
