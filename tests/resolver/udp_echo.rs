//! Answers every datagram on an address with a fixed text, until its standard input is closed.
//!
//! A resolver for tests. It is a process of its own because rules match the user of the process that
//! sends the answer.
#![forbid(unsafe_code)]

use std::io::{self, Read};
use std::net::UdpSocket;
use std::process::ExitCode;
use std::thread;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(words)) = (arguments.next(), arguments.next()) else {
        return ExitCode::from(2);
    };
    let Ok(socket) = UdpSocket::bind(address) else {
        return ExitCode::from(3);
    };
    // Closing the pipe signals that it listens.
    drop(io::Write::write_all(&mut io::stdout(), b"ready\n"));
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            drop(socket.send_to(words.as_bytes(), from));
        }
    });
    drop(io::stdin().read_to_end(&mut Vec::new()));
    ExitCode::SUCCESS
}
