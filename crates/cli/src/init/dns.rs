//! Selects the DNS queries to capture: all, or those to the servers in `/etc/resolv.conf`.

use std::io;

use mesh_cni_rules::istio::interception::DnsCapture;

use super::error::SettingError;
use super::settings::Settings;
use super::{flags, resolv_conf};

/// The DNS capture that the two switches and the file ask for.
pub(super) fn capture(settings: &mut Settings<'_>) -> Result<DnsCapture, SettingError> {
    let redirect = settings.switch(&flags::REDIRECT_DNS)?;
    let all = settings.switch(&flags::CAPTURE_ALL_DNS)?;
    match (redirect, all) {
        (true, true) => Ok(DnsCapture::All),
        (true, false) => servers(settings),
        (false, true) => {
            let origin = settings.origin(&flags::CAPTURE_ALL_DNS);
            settings.warn(format!(
                "{origin} has no effect without --redirect-dns: DNS capture is off"
            ));
            Ok(DnsCapture::Off)
        }
        (false, false) => Ok(DnsCapture::Off),
    }
}

fn servers(settings: &mut Settings<'_>) -> Result<DnsCapture, SettingError> {
    let path = resolv_conf::PATH;
    let file = match settings.read_file(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            settings.warn(format!("{path} does not exist: DNS capture is off"));
            return Ok(DnsCapture::Off);
        }
        Err(source) => {
            return Err(SettingError::Unreadable {
                origin: settings.origin(&flags::REDIRECT_DNS),
                path,
                source,
            });
        }
    };
    let found = resolv_conf::parse(&file);
    for warning in found.warnings {
        settings.warn(warning);
    }
    if found.servers.is_empty() {
        settings.warn(format!("{path} has no name servers: DNS capture is off"));
        return Ok(DnsCapture::Off);
    }
    Ok(DnsCapture::Servers(found.servers))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use mesh_cni_netfilter::render;
    use mesh_cni_netfilter::ruleset::Family;
    use mesh_cni_rules::istio::{Dialect, compile};

    use super::*;
    use crate::init::flags::GivenFlags;
    use crate::init::interception;

    /// The DNS capture of `REDIRECT_DNS=true` with that file, and the warnings.
    fn with_file(file: Result<&str, io::ErrorKind>) -> (Result<DnsCapture, SettingError>, String) {
        let given = GivenFlags::default();
        let lookup = |name: &str| (name == "REDIRECT_DNS").then(|| "true".to_owned());
        let read = |path: &str| {
            assert_eq!(path, "/etc/resolv.conf");
            file.map(str::to_owned).map_err(io::Error::from)
        };
        let mut settings = Settings::new(&given, &lookup, &read);
        let capture = capture(&mut settings);
        (capture, settings.warnings.join("\n"))
    }

    #[test]
    fn servers_are_split_by_family() {
        let given = GivenFlags::default();
        let set = [("REDIRECT_DNS", "true"), ("ISTIO_SERVICE_CIDR", "*")];
        let lookup = |name: &str| {
            let mut set = set.iter().filter(|(known, _)| *known == name);
            set.next().map(|(_, value)| (*value).to_owned())
        };
        let file = "search a.svc\nnameserver 10.96.0.10\nnameserver fd00::a\nnameserver 10.0.0.2\n";
        let read = |_: &str| Ok(file.to_owned());
        let mut settings = Settings::new(&given, &lookup, &read);
        let interception = interception::read(&mut settings).unwrap();
        assert_eq!(settings.warnings, Vec::<String>::new());
        let mut text = String::new();
        for family in Family::ALL {
            let rules = compile(&interception, Dialect::Asm, family);
            writeln!(text, "# {family}\n{}", render::restore(&rules)).unwrap();
        }
        insta::with_settings!({
            snapshot_path => "../../tests/snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => "IPv4: redirects TCP then UDP queries to 10.96.0.10 and 10.0.0.2 to 15053, \
                            with conntrack zones for these two only; IPv6: the same for fd00::a",
        }, { insta::assert_snapshot!("init-dns-servers", text) });
    }

    #[test]
    fn without_a_server_capture_is_off_with_a_warning() {
        for (file, expected) in [
            (
                Ok("search a.svc\n"),
                "/etc/resolv.conf has no name servers: DNS capture is off",
            ),
            (
                Err(io::ErrorKind::NotFound),
                "/etc/resolv.conf does not exist: DNS capture is off",
            ),
        ] {
            let (capture, warnings) = with_file(file);
            assert_eq!(capture.unwrap(), DnsCapture::Off);
            assert_eq!(warnings, expected);
        }
        let (capture, warnings) = with_file(Ok("nameserver 10.0.0\n"));
        assert_eq!(capture.unwrap(), DnsCapture::Off);
        assert_eq!(
            warnings,
            "/etc/resolv.conf line 1, `nameserver 10.0.0`: `10.0.0` is not an address, its queries \
             are not captured: allowed are addresses such as 10.96.0.10 or fd00::a\n\
             /etc/resolv.conf has no name servers: DNS capture is off"
        );
    }

    #[test]
    fn an_unreadable_file_is_an_error() {
        let (capture, _) = with_file(Err(io::ErrorKind::PermissionDenied));
        let error = capture.unwrap_err().to_string();
        assert_eq!(
            error,
            "environment REDIRECT_DNS: cannot read /etc/resolv.conf"
        );
    }
}
