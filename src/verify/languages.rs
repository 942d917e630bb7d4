//! PostgreSQL's own words in the languages that it speaks (`lc_messages`), where nothing but the words tells two things
//! apart. Whatever a SQLSTATE or the name of the reporting function says is not asked of words.
//!
//! Source: the catalogues of messages that come with PostgreSQL 13 to 18 (de, es, fr, it, ja, ka, ko, ru, sv, uk, `zh_CN`).

/// Whether a message of `ClientAuthentication` says that a line of `pg_hba.conf` rejects, and not that there is no line. In
/// almost every language the file is what rejects, and so stands first.
pub fn rejects(message: &str) -> bool {
    let begins = message.starts_with("pg_hba.conf ") && !message.contains("エントリがありません");
    begins || message.contains("거부")
}

/// Whether a message of `InitializeSessionUserId` says that the role may not log in, and not that there is none.
pub fn may_not_log_in(message: &str) -> bool {
    const WORDS: [&str; 12] = [
        "not permitted",
        "keine Berechtigung",
        "no se le permite",
        "n'est pas autorisé",
        "non è consentito",
        "許可されません",
        "უფლება არ აქვს",
        "허용하지 않음",
        "вход запрещён",
        "tillåts inte",
        "вхід не дозволений",
        "不允许",
    ];
    WORDS.iter().any(|words| message.contains(words))
}

/// Whether a message of `auth_failed` is about the account at the other end of a Unix socket (`peer`).
pub fn is_about_peer(message: &str) -> bool {
    message.to_lowercase().contains("peer")
        || ["პარტნიორის", "对等"].iter().any(|word| message.contains(word))
}

/// What stands before the detail of an entry in a log of text, without the colon.
pub const DETAIL: [&str; 12] = [
    "DETAIL",
    "DETALLE",
    "DÉTAIL",
    "DETTAGLI",
    "詳細",
    "დეტალები",
    "상세정보",
    "ПОДРОБНОСТИ",
    "DETALJ",
    "ВІДОМОСТІ",
    "详细信息",
    "SZCZEGÓŁY",
];

/// The same before its hint.
pub const HINT: [&str; 11] = [
    "HINT",
    "TIPP",
    "ASTUCE",
    "SUGGERIMENTO",
    "ヒント",
    "მინიშნება",
    "힌트",
    "ПОДСКАЗКА",
    "TIPS",
    "УКАЗІВКА",
    "提示",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_rejects_is_told_from_none_in_every_language() {
        for (rejected, none) in [
            (
                "pg_hba.conf rejects connection for host \"h\", user \"u\", database \"d\", no encryption",
                "no pg_hba.conf entry for host \"h\", user \"u\", database \"d\", no encryption",
            ),
            (
                "pg_hba.conf lehnt Verbindung ab für Host »h«, Benutzer »u«, Datenbank »d«, keine Verschlüsselung",
                "kein pg_hba.conf-Eintrag für Host »h«, Benutzer »u«, Datenbank »d«, keine Verschlüsselung",
            ),
            (
                "pg_hba.conf rechaza la conexión para el servidor «h»",
                "no hay una línea en pg_hba.conf para «h»",
            ),
            (
                "pg_hba.conf rejette la connexion pour l'hôte « h »",
                "aucune entrée dans pg_hba.conf pour l'hôte « h »",
            ),
            (
                "pg_hba.conf の設定でホスト \"h\"、ユーザー \"u\"、データベース \"d\", xの接続を拒否しました",
                "pg_hba.conf にホスト\"h\"、ユーザー\"u\"、データベース\"d, x用のエントリがありません",
            ),
            (
                "pg_hba.conf უარყოფს მიერთებას ჰოსტისთვის \"h\"",
                "pg_hba.conf-ში ჩანაწერი ჰოსტისთვის \"h\" აღმოჩენილი არაა",
            ),
            (
                "호스트 \"h\" 연결이 pg_hba.conf 파일 설정에 따라 거부됩니다",
                "호스트 \"h\" 연결에 대한 설정이 pg_hba.conf 파일에 없습니다.",
            ),
            (
                "pg_hba.conf отвергает подключение: компьютер \"h\"",
                "в pg_hba.conf нет записи для компьютера \"h\"",
            ),
            (
                "pg_hba.conf 记录拒绝来自主机\"h\"的连接",
                "没有用于主机 \"h\" 的 pg_hba.conf 记录",
            ),
        ] {
            assert!(rejects(rejected), "{rejected}");
            assert!(!rejects(none), "{none}");
        }
        assert!(may_not_log_in(
            "für Rolle »u« gibt es keine Berechtigung zum Einloggen"
        ));
        assert!(!may_not_log_in("Rolle »u« existiert nicht"));
    }
}
