//! `prevResult`: a result survives every version that can represent it, and passes through unchanged.

use mesh_cni_spec::{CniResult, SpecVersion, pass_through};
use serde_json::Value;

use crate::property::assert_one_line;

pub(crate) fn run(input: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(input) else {
        return;
    };
    for version in SpecVersion::ALL {
        match CniResult::from_value_as(&value, *version) {
            Ok(result) => convert(&result),
            Err(error) => assert_one_line(&error.to_string()),
        }
        passes_through(&value, *version);
    }
}

fn convert(result: &CniResult) {
    for version in SpecVersion::ALL {
        let written = result.to_value(*version);
        let read = CniResult::from_value(&written).expect("a written result is a result");
        assert_eq!(read.to_value(*version), written, "{version}: {result:?}");
        assert_eq!(
            read.losses(*version),
            Vec::<String>::new(),
            "{version}: {written}"
        );
        if result.losses(*version).is_empty() {
            let addresses = |result: &CniResult| {
                let mut addresses: Vec<_> = result.ips.iter().map(|ip| ip.address).collect();
                addresses.sort();
                addresses
            };
            assert_eq!(addresses(&read), addresses(result), "{version}");
            assert_eq!(read.interfaces.len(), result.interfaces.len(), "{version}");
            assert_eq!(read.routes.len(), result.routes.len(), "{version}");
        }
    }
}

fn passes_through(prev: &Value, version: SpecVersion) {
    let Ok(mut passed) = pass_through(prev, version) else {
        return;
    };
    assert_eq!(passed["cniVersion"], version.as_str());
    let own = prev["cniVersion"].as_str().map(SpecVersion::of_config);
    let is_converted = own.is_some_and(|own| own.is_ok_and(|own| own.shape() != version.shape()));
    if !is_converted {
        let mut prev = prev.clone();
        for value in [&mut passed, &mut prev] {
            value
                .as_object_mut()
                .expect("a result is an object")
                .shift_remove("cniVersion");
        }
        assert_eq!(passed.to_string(), prev.to_string());
    }
}
