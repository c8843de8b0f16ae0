//! An upgrade of ztunnel: the new one receives a snapshot while the old one serves, and then both
//! receive changes.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::time::Instant;

use mesh_cni_zds::{Ack, Hello, Output, Request, TooLong, Workload, Ztunnels};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now = Instant::now();
    let mut ztunnels = Ztunnels::new();
    serve("cart", &mut ztunnels)?;
    let old = ztunnels.connect(now)?;
    ztunnels.receive(old, &Hello.encode());
    deliver(&mut ztunnels, now)?;

    let new = ztunnels.connect(now)?;
    ztunnels.receive(new, &Hello.encode());
    serve("orders", &mut ztunnels)?;
    deliver(&mut ztunnels, now)?;

    ztunnels.disconnect(old);
    println!("orders: {:?}", ztunnels.service("uid-of-orders"));
    Ok(())
}

fn serve(name: &str, ztunnels: &mut Ztunnels<String>) -> Result<(), TooLong> {
    let workload = Workload {
        name: name.to_owned(),
        namespace: "shop".to_owned(),
        service_account: "default".to_owned(),
    };
    let netns = format!("/run/netns/{name}");
    ztunnels.serve(&format!("uid-of-{name}"), workload, Some(netns))
}

/// Prints what would be sent, and accepts it.
fn deliver(
    ztunnels: &mut Ztunnels<String>,
    now: Instant,
) -> Result<(), Box<dyn std::error::Error>> {
    while let Some(output) = ztunnels.output(now) {
        if let Output::Send { to, datagram, .. } = output {
            println!("ztunnel {to}: {:?}", Request::decode(&datagram)?);
            ztunnels.receive(to, &Ack(Ok(())).encode());
        }
    }
    Ok(())
}
