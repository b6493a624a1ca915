//! Rooms of a shard and who is subscribed to them: opening, joining, leaving, forgetting.

use std::rc::Rc;
use std::sync::Arc;

use crate::bounds::ROOM_IDLE_US;
use crate::conn::{Opening, Place};
use crate::effect::PeerNews;
use crate::hub::Hub;
use crate::inbound::log_name;
use crate::room::{Room, Subscriber, VACANT};

impl Hub {
    /// The room of this log, made if it is not there.
    pub(crate) fn room_of(&mut self, log: &str) -> u32 {
        if let Some(&room) = self.by_name.get(log) {
            return room;
        }
        let name: Rc<str> = log.into();
        self.room_serial += 1;
        let room = Room::new(self.room_serial, name.clone(), self.desk.now_us);
        let room = self.rooms.insert(room) as u32;
        self.by_name.insert(name, room);
        self.rest(room);
        room
    }

    /// Nobody needs the room now: from here on its time runs.
    pub(crate) fn rest(&mut self, at: u32) {
        let room = &mut self.rooms[at as usize];
        room.idle_since_us = self.desk.now_us;
        if !std::mem::replace(&mut room.idling, true) {
            self.idle
                .push_back((at, room.serial, self.desk.now_us + ROOM_IDLE_US));
        }
    }

    /// Keeps what is delivered to a room from now on, until the answer to op `id` comes.
    pub(crate) fn hold_open(&mut self, index: u32, id: u64, log: &str) -> u64 {
        let room = self.room_of(log);
        self.rooms[room as usize].opening += 1;
        let opening = Opening {
            id,
            room,
            tries: 0,
            cancelled: false,
        };
        self.desk.conn(index).cold().opening.push(opening);
        self.rooms[room as usize].held_from()
    }

    /// Ends every hold of op `id`; the last of them.
    pub(crate) fn let_go(&mut self, index: u32, id: u64) -> Option<Opening> {
        let conn = self.desk.conn(index);
        let mut ended = Vec::new();
        let cold = conn.cold.as_mut()?;
        cold.opening.retain(|it| {
            if it.id == id {
                ended.push(*it);
            }
            it.id != id
        });
        conn.warm();
        for it in &ended {
            self.end_opening(it.room);
        }
        ended.pop()
    }

    /// One answer less is awaited; a room that was only ever asked about is forgotten at once, so
    /// that names which strangers make up cost nothing.
    fn end_opening(&mut self, at: u32) {
        let room = &mut self.rooms[at as usize];
        room.end_opening();
        if room.last.is_none() && room.is_deserted() {
            self.forget(at);
        }
    }

    /// How the hold of op `id` stands.
    pub(crate) fn opening_of(&mut self, index: u32, id: u64) -> Option<&mut Opening> {
        self.desk
            .conn(index)
            .cold
            .as_mut()?
            .opening
            .iter_mut()
            .find(|it| it.id == id)
    }

    /// Makes the connection a subscriber, or changes its wishes.
    pub(crate) fn join(&mut self, index: u32, room_at: u32, wants: u8) {
        let known = self.desk.conns[index as usize].place_of(room_at);
        if let Some(place) = known {
            // A fan-out under way belongs to the subscription that ends here.
            self.catch_up(room_at, place.slot);
        }
        let conn = &mut self.desk.conns[index as usize];
        let room = &mut self.rooms[room_at as usize];
        let slot = room.subscribers.len() as u32;
        let subscriber = Subscriber { conn: index, wants };
        if let Some(place) = conn.places.iter_mut().find(|it| it.room == room_at) {
            if room.is_fanning() {
                room.subscribers[place.slot as usize].conn = VACANT;
                room.subscribers.push(subscriber);
                room.lively().vacant += 1;
                place.slot = slot;
            } else {
                room.subscribers[place.slot as usize] = subscriber;
            }
            return;
        }
        room.subscribers.push(subscriber);
        conn.places.push(Place {
            room: room_at,
            slot,
        });
        if let Some(user) = conn.user.clone().filter(|_| !room.is_private()) {
            let name = room.name.clone();
            self.present(room_at, &user, true);
            self.tell_peers_presence(&name, user, true);
        }
    }

    fn tell_peers_presence(&mut self, name: &str, user: Arc<str>, on: bool) {
        if self.config.has_peers {
            self.news.push(PeerNews::Presence {
                room: name.into(),
                user,
                on,
            });
        }
    }

    /// Ends a subscription at once.
    pub(crate) fn leave(&mut self, index: u32, place: Place) {
        let conn = &mut self.desk.conns[index as usize];
        conn.places.retain(|it| it.room != place.room);
        let user = conn.user.clone();
        let room = &mut self.rooms[place.room as usize];
        if room.is_fanning() {
            room.subscribers[place.slot as usize].conn = VACANT;
            room.lively().vacant += 1;
        } else {
            room.subscribers.swap_remove(place.slot as usize);
            if let Some(moved) = room.subscribers.get(place.slot as usize) {
                let conn = &mut self.desk.conns[moved.conn as usize];
                if let Some(it) = conn.places.iter_mut().find(|it| it.room == place.room) {
                    it.slot = place.slot;
                }
            }
        }
        let vacant = room
            .lively
            .as_ref()
            .map_or(0, |lively| lively.vacant as usize);
        if room.subscribers.len() == vacant {
            self.rest(place.room);
        }
        if let Some(user) = user.filter(|_| !self.rooms[place.room as usize].is_private()) {
            let name = self.rooms[place.room as usize].name.clone();
            self.stop_typing(place.room, &user);
            self.present(place.room, &user, false);
            self.tell_peers_presence(&name, user, false);
        }
    }

    pub(crate) fn unsubscribe(&mut self, index: u32, user: &str, room: &str) {
        let Some(&at) = self.by_name.get(log_name(room, user).as_str()) else {
            return;
        };
        if room == "me" {
            return;
        }
        let conn = self.desk.conn(index);
        let under_way = conn
            .cold
            .as_mut()
            .into_iter()
            .flat_map(|cold| &mut cold.opening);
        for opening in under_way.filter(|it| it.room == at) {
            opening.cancelled = true;
        }
        if let Some(place) = conn.place_of(at) {
            self.leave(index, place);
        }
    }

    /// Ends all subscriptions and holds of a connection.
    pub(crate) fn leave_everything(&mut self, index: u32) {
        while let Some(&place) = self.desk.conn(index).places.last() {
            self.leave(index, place);
        }
        if let Some(cold) = self.desk.conn(index).cold.take() {
            for opening in cold.opening {
                self.end_opening(opening.room);
            }
        }
    }

    /// Takes vacant slots out once no fan-out walks over them.
    pub(crate) fn compact(&mut self, room_at: u32) {
        let room = &mut self.rooms[room_at as usize];
        room.subscribers.retain(|it| it.conn != VACANT);
        for (slot, subscriber) in room.subscribers.iter().enumerate() {
            let conn = &mut self.desk.conns[subscriber.conn as usize];
            if let Some(place) = conn.places.iter_mut().find(|it| it.room == room_at) {
                place.slot = slot as u32;
            }
        }
        room.lively().vacant = 0;
    }

    /// Forgets rooms that have long been empty.
    pub(crate) fn forget_idle(&mut self) {
        let now_us = self.desk.now_us;
        while let Some(&(at, serial, look_us)) = self.idle.front()
            && look_us <= now_us
        {
            self.idle.pop_front();
            let room = self
                .rooms
                .get_mut(at as usize)
                .filter(|room| room.serial == serial);
            let Some(room) = room else { continue };
            if !room.subscribers.is_empty() {
                room.idling = false;
                continue;
            }
            let end_us = room.idle_since_us + ROOM_IDLE_US;
            if end_us <= now_us && room.is_deserted() {
                self.forget(at);
                continue;
            }
            let look_us = if end_us > now_us {
                end_us
            } else {
                now_us + ROOM_IDLE_US
            };
            self.idle.push_back((at, serial, look_us));
        }
    }

    fn forget(&mut self, at: u32) {
        let room = self.rooms.remove(at as usize);
        self.recent_bytes -= room.recent_bytes();
        self.by_name.remove(&room.name);
        self.remembered_stale += usize::from(room.remembered);
        if self.remembered_stale > 64 && self.remembered_stale > self.remembered.len() / 2 {
            let rooms = &self.rooms;
            self.remembered.retain(|(at, serial)| {
                rooms
                    .get(*at as usize)
                    .is_some_and(|room| room.serial == *serial)
            });
            self.remembered_stale = 0;
        }
    }
}
