//! What a type's encoding is, from a list of its parts. Every part has to be in the list: one that is forgotten does not compile.

/// A struct that is its fields in this order.
macro_rules! canon_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        $crate::journal::canon::canon_struct!(out $name { $($field),* });
        impl $crate::journal::canon::Take for $name {
            fn take(
                from: &mut $crate::journal::canon::Decoder<'_>,
            ) -> Result<Self, $crate::journal::canon::DecodeError> {
                $(let $field = from.take()?;)*
                Ok($name { $($field),* })
            }
        }
    };
    // One that is never read back. What is behind the bar has nothing to say: beside it stands why.
    (out $name:ident { $($field:ident),* $(,)? } $(| $($none:ident),* $(,)?)?) => {
        impl $crate::journal::canon::Put for $name {
            fn put(&self, to: &mut $crate::journal::canon::Encoder<'_>) {
                let $name { $($field,)* $($($none: _),*)? } = self;
                $($crate::journal::canon::Put::put($field, to);)*
            }
        }
    };
}
pub(crate) use canon_struct;

/// An enum: a number for each variant, and the fields in this order.
macro_rules! canon_enum {
    ($name:ident {
        $($tag:literal = $variant:ident $({ $($field:ident),* $(,)? })? $(( $($item:ident),* ))?),* $(,)?
    }) => {
        $crate::journal::canon::canon_enum!(out $name { $($tag = $variant $({ $($field),* })? $(( $($item),* ))?),* });
        impl $crate::journal::canon::Take for $name {
            fn take(
                from: &mut $crate::journal::canon::Decoder<'_>,
            ) -> Result<Self, $crate::journal::canon::DecodeError> {
                let wrong = from.error($crate::journal::canon::Problem::Variant);
                match from.byte()? {
                    $($tag => {
                        $($(let $field = from.take()?;)*)?
                        $($(let $item = from.take()?;)*)?
                        Ok($name::$variant $({ $($field),* })? $(( $($item),* ))?)
                    })*
                    _ => Err(wrong),
                }
            }
        }
    };
    // One that is never read back.
    (out $name:ident {
        $($tag:literal = $variant:ident $({ $($field:ident),* $(,)? })? $(( $($item:ident),* ))?),* $(,)?
    }) => {
        impl $crate::journal::canon::Put for $name {
            fn put(&self, to: &mut $crate::journal::canon::Encoder<'_>) {
                match self {
                    $($name::$variant $({ $($field),* })? $(( $($item),* ))? => {
                        to.byte($tag);
                        $($($crate::journal::canon::Put::put($field, to);)*)?
                        $($($crate::journal::canon::Put::put($item, to);)*)?
                    })*
                }
            }
        }
    };
}
pub(crate) use canon_enum;
